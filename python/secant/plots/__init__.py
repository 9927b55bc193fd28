"""Pictures of trainings, networks and descents, drawn by Matplotlib (``pip install
matplotlib``).

Each function draws on the axes that it is given, or on a new figure, and returns the
axes. A new figure is pyplot's where pyplot has been imported, so that ``plt.show()``
shows it, and in a notebook, which shows it by itself.
"""

from secant.plots.curves import learning_curves as learning_curves
from secant.plots.networks import confusion_matrix as confusion_matrix
from secant.plots.networks import weights as weights
from secant.plots.paths import descent_paths as descent_paths

__all__ = [
    "confusion_matrix",
    "descent_paths",
    "learning_curves",
    "weights",
]
