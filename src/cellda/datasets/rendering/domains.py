"""The ten laboratories: stains, microscope and camera of each synthetic domain."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Triple = tuple[float, float, float]

AZURE: Triple = (0.76, 0.63, 0.23)
"""Optical density of one unit of azure B / methylene blue in R, G, B: absorbs red most."""
EOSIN: Triple = (0.08, 0.80, 0.55)
"""Optical density of one unit of eosin Y in R, G, B: absorbs green most."""


@dataclass(frozen=True)
class Domain:
    """One laboratory.

    Attributes:
        title: Its distinguishing features, in a few words.
        azure: Optical density of one unit of the basic stain in R, G, B.
        eosin: Optical density of one unit of the acid stain in R, G, B.
        strength: Amounts of (azure, eosin) offered, 1 = usual.
        uptake: Factors on the amounts of (azure, eosin) that single substrates bind.
        unevenness: Standard deviation of the logarithm of stain amounts between slides.
        illuminant: R, G, B of the lamp times the camera's white balance; the colour of empty glass, linear.
        exposure: Factor on the light.
        cast: Standard deviation of the logarithm of the illuminant between images.
        field: Width of the frame in micrometres (magnification).
        height: Height of the frame over its width; frames are squeezed to squares.
        wander: How far from the middle of the frame a cell may lie, as a share of the frame.
        crowding: Red cells placed, as a share of the area.
        overlap: How far neighbouring red cells may overlap, as a share of a diameter.
        pallor: Depth of the red cells' central pallor in [0, 1].
        poikilocytosis: Spread of the red cells' elongation.
        platelets: Platelets per 1000 square micrometres.
        defocus: Lowest and highest standard deviation of the blur, micrometres.
        vignette: Loss of light in the corners, in [0, 1].
        photons: Electrons a pixel collects from empty glass when 96 pixels span the frame.
        read_noise: Electrons of noise added by reading that pixel.
        gamma: Exponent of the camera's tone curve, `value = light ** (1 / gamma)`.
        jpeg: Lowest and highest JPEG quality.
        tilt: Largest angle, in degrees, by which the frame was rotated in a black square; 0 = no black corners.
    """

    title: str
    azure: Triple = AZURE
    eosin: Triple = EOSIN
    strength: tuple[float, float] = (1.0, 1.0)
    uptake: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unevenness: float = 0.06
    illuminant: Triple = (1.0, 0.86, 0.66)
    exposure: float = 0.97
    cast: float = 0.02
    field: float = 34.0
    height: float = 1.0
    wander: float = 0.03
    crowding: float = 0.9
    overlap: float = 0.12
    pallor: float = 0.7
    poikilocytosis: float = 0.06
    platelets: float = 0.7
    defocus: tuple[float, float] = (0.10, 0.16)
    vignette: float = 0.03
    photons: float = 9000.0
    read_noise: float = 12.0
    gamma: float = 2.2
    jpeg: tuple[int, int] = (90, 96)
    tilt: float = 0.0


DOMAINS: tuple[Domain, ...] = (
    Domain("sharp source: warm analyser images, balanced May-Grünwald-Giemsa"),
    Domain(
        "phone on the eyepiece: magenta nuclei, soft, grey red cells",
        strength=(0.62, 1.25),
        uptake={"chromatin": (0.85, 1.75), "haemoglobin": (2.3, 0.75), "acidophil_granules": (1.5, 0.55)},
        illuminant=(0.86, 0.74, 0.68),
        cast=0.05,
        field=30.0,
        wander=0.08,
        crowding=0.9,
        overlap=0.3,
        defocus=(0.25, 0.5),
        vignette=0.25,
        photons=1500.0,
        gamma=1.9,
        jpeg=(55, 80),
    ),
    Domain(
        "wide field, cell anywhere, rotated in black corners",
        strength=(0.75, 0.7),
        uptake={"chromatin": (0.9, 0.9), "haemoglobin": (0.6, 1.5)},
        illuminant=(0.78, 0.82, 0.80),
        cast=0.05,
        field=40.0,
        height=0.75,
        wander=0.18,
        crowding=0.5,
        overlap=0.35,
        defocus=(0.12, 0.3),
        photons=2500.0,
        jpeg=(70, 88),
        tilt=15.0,
    ),
    Domain(
        "tight crops under yellow light, overstained",
        strength=(1.25, 1.1),
        uptake={"rna": (1.5, 1.0), "haemoglobin": (0.2, 0.3), "chromatin": (1.1, 1.4)},
        illuminant=(1.0, 0.93, 0.28),
        cast=0.08,
        field=19.0,
        crowding=0.15,
        defocus=(0.18, 0.4),
        photons=3000.0,
        jpeg=(80, 92),
    ),
    Domain(
        "blue light, pale stain, low resolution",
        strength=(0.6, 0.7),
        uptake={"neutrophil_granules": (1.6, 0.6), "acidophil_granules": (2.5, 0.5)},
        illuminant=(0.62, 0.66, 1.0),
        cast=0.06,
        field=22.0,
        wander=0.06,
        crowding=0.5,
        defocus=(0.25, 0.5),
        photons=1200.0,
        jpeg=(50, 75),
    ),
    Domain(
        "dim greenish old camera, noisy",
        azure=(0.70, 0.56, 0.38),
        strength=(0.9, 0.6),
        illuminant=(0.62, 0.66, 0.50),
        exposure=0.55,
        cast=0.1,
        field=26.0,
        wander=0.08,
        crowding=0.75,
        overlap=0.25,
        defocus=(0.2, 0.4),
        vignette=0.2,
        photons=900.0,
        read_noise=14.0,
        gamma=1.8,
        jpeg=(60, 80),
    ),
    Domain(
        "acid buffer: everything pink, thick smear",
        strength=(0.6, 1.6),
        uptake={"neutrophil_granules": (0.5, 2.2), "rna": (0.5, 2.0), "protein": (1.0, 1.8)},
        illuminant=(0.95, 0.92, 0.90),
        field=36.0,
        wander=0.1,
        crowding=1.3,
        overlap=0.45,
        pallor=0.3,
        defocus=(0.2, 0.4),
        photons=2500.0,
        jpeg=(60, 85),
    ),
    Domain(
        "alkaline buffer: everything blue, thin smear",
        strength=(1.1, 0.5),
        uptake={"acidophil_granules": (3.0, 0.9), "haemoglobin": (2.2, 0.6), "protein": (3.0, 0.5)},
        illuminant=(0.90, 0.93, 0.97),
        field=28.0,
        wander=0.05,
        crowding=0.4,
        poikilocytosis=0.12,
        defocus=(0.2, 0.5),
        photons=3000.0,
        jpeg=(70, 90),
    ),
    Domain(
        "low magnification, heavy JPEG",
        azure=(0.85, 0.52, 0.16),
        strength=(0.8, 0.8),
        illuminant=(0.97, 0.93, 0.82),
        field=44.0,
        wander=0.16,
        crowding=0.75,
        overlap=0.2,
        defocus=(0.2, 0.4),
        photons=2000.0,
        jpeg=(40, 60),
    ),
    Domain(
        "out of focus, high contrast, bleached slide",
        strength=(1.5, 0.7),
        uptake={"chromatin": (0.6, 1.0), "basophil_granules": (0.5, 0.8), "acidophil_granules": (1.0, 0.6)},
        illuminant=(1.0, 1.0, 1.0),
        exposure=1.15,
        field=24.0,
        wander=0.08,
        crowding=0.7,
        overlap=0.3,
        defocus=(0.35, 0.65),
        vignette=0.3,
        photons=1500.0,
        gamma=1.5,
        jpeg=(60, 80),
    ),
)
"""The domains by number; 0 is the source."""
