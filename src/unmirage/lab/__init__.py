"""Ladders of small models, trained here, that write records (needs the extra ``lab``).

A ladder is one task and one recipe at many sizes: decoder-only transformers of a few hundred to
some two hundred thousand parameters, or nets of images, trained by JAX on the processor. Data flows
one way:

    tokens, arithmetic, mixture, incontext, tasks
                      what is learnt: prompts and targets, the order of the training batches
    recipe, families  how it is trained: plain settings, readable without JAX
    model, objective  the transformer and what is minimised: pure functions on a tree of parameters
    engine, checkpoint
                      one rung: training that may be stopped and killed at any moment
    rows              what a trained rung answers: one row per test item
    folder, ladder    all rungs, one pinned process per core, resumable
    vision            the families of images: tasks, nets, rows
    export            a rung as a GPT-2 folder for other tools
    make_examples     the ladders behind ``unmirage.examples``

Teacher-forced quantities (``token_logprobs``, ``token_correct``) are those of each target token
given the true tokens before it; free-running ones (``output``, ``output_tokens``) come from greedy
generation, where an early error spoils what follows.
"""
