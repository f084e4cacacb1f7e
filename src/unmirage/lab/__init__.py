"""Ladders of small models, trained here, that write records (needs the extra ``lab``).

A ladder is one task and one recipe at many sizes: decoder-only transformers of a few hundred to
some two hundred thousand parameters, trained by JAX on the processor. Data flows one way:

    tasks     what is learnt: prompts and targets, the order of the training batches
    model     the transformer: pure functions on a tree of parameters
    train     one rung: training, evaluation, one row per test item
    ladder    all rungs, one pinned process per core, resumable
    make_examples   the ladders behind ``unmirage.examples``

Teacher-forced quantities (``token_logprobs``, ``token_correct``) are those of each target token
given the true tokens before it; free-running ones (``output``, ``output_tokens``) come from greedy
generation, where an early error spoils what follows.
"""
