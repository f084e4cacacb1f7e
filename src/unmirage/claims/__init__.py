"""The claims of the source article, tried on our own trained families.

    claim    what a claim is: what the article shows, what we see, figures, pictures
    runs     the ladders that are trained for them
    metric, resolution, length, vision, incontext
             one claim each, or three: records -> Claim, no training
    reproduce   trains, judges, writes the table and the pictures

``unmirage lab reproduce --out DIR`` makes the table of docs/science.md.
"""
