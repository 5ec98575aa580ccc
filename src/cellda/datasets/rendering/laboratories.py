"""Laboratories drawn at random: stain, optics, camera, magnification, crop and neighbours (domain randomisation)."""

import math
from random import Random

from cellda.datasets.rendering.cellmap import SUBSTRATES
from cellda.datasets.rendering.domains import AZURE, EOSIN, Domain, Triple

MOST = 2.5
"""Largest deviation of a factor, in its standard deviations."""
MARGIN = 8
"""Range of JPEG qualities within one laboratory."""


def drawn_laboratory(seed: str) -> Domain:
    """A laboratory whose every property is drawn from a range that holds those of the ten fixed ones, nearly.

    J. Tobin et al.: Domain randomization for transferring deep neural networks from simulation to the real world, IROS 2017.

    Args:
        seed: Any text; the same text gives the same laboratory on every machine.
    """
    random = Random(seed)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * random.random()

    def ratio(low: float, high: float) -> float:
        """Uniform in the logarithm."""
        return math.exp(uniform(math.log(low), math.log(high)))

    def factor(spread: float) -> float:
        """Log-normal around 1."""
        return math.exp(spread * max(-MOST, min(MOST, random.gauss(0, 1))))

    def stain(densities: Triple) -> Triple:
        red, green, blue = (min(1.2, density * factor(0.15)) for density in densities)
        return red, green, blue

    lamp = uniform(0.55, 1.0), uniform(0.6, 1.0), uniform(0.45, 1.0)
    scale = uniform(0.75, 1.0) / max(lamp)
    blur, quality = ratio(0.08, 0.45), int(uniform(40, 90))
    return Domain(
        f"drawn laboratory {seed}",
        azure=stain(AZURE),
        eosin=stain(EOSIN),
        strength=(ratio(0.55, 1.6), ratio(0.5, 1.7)),
        uptake={substrate: (factor(0.3), factor(0.3)) for substrate in SUBSTRATES},
        unevenness=uniform(0.03, 0.12),
        illuminant=(lamp[0] * scale, lamp[1] * scale, lamp[2] * scale),
        exposure=uniform(0.55, 1.12),
        cast=0.03,
        field=ratio(17.0, 44.0),
        height=1.0 if random.random() < 0.6 else uniform(0.75, 1.0),
        wander=uniform(0.0, 0.15),
        crowding=uniform(0.05, 1.3),
        overlap=uniform(0.05, 0.45),
        pallor=uniform(0.2, 0.8),
        poikilocytosis=uniform(0.03, 0.15),
        platelets=uniform(0.2, 1.5),
        defocus=(blur, blur * uniform(1.1, 1.8)),
        vignette=uniform(0.0, 0.3),
        photons=ratio(700.0, 9000.0),
        read_noise=uniform(6.0, 16.0),
        gamma=uniform(1.4, 2.5),
        jpeg=(quality, quality + MARGIN),
        tilt=15.0 if random.random() < 0.1 else 0.0,
    )
