"""Families of image models, trained by the same engine: the vision half of the source article.

    images, formats, data, fonts     where images come from
    autoencoder, digits, glyphs      the three tasks, plain numpy: what a batch and a test are
    nets                             the nets and their losses, in JAX
    rows                             what a trained rung answers, as records

What is made of a task here is a :data:`VisionTask`; the dial D of each family is the width of its
bottleneck, of its layers of filters, or of its transformer.
"""

from unmirage.lab.vision.autoencoder import AutoencoderTask
from unmirage.lab.vision.digits import DigitsTask
from unmirage.lab.vision.glyphs import GlyphsTask

VisionTask = AutoencoderTask | DigitsTask | GlyphsTask

__all__ = ["AutoencoderTask", "DigitsTask", "GlyphsTask", "VisionTask"]
