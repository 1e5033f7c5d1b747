"""The dashboards, in the order of the menu."""

from pages.cold_start import COLD_START
from pages.ingest import INGEST
from pages.operations import OPERATIONS
from pages.overview import OVERVIEW
from pages.serving import SERVING
from pages.training import TRAINING

DASHBOARDS = (OVERVIEW, COLD_START, SERVING, INGEST, TRAINING, OPERATIONS)
