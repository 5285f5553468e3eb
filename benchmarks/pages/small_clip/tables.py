"""Which rows make up which table, and what is read off them.

All numbers marked as the paper's are Text4Vis': top-1 on Kinetics-400, single view.
"""

from harness.claims import Claim
from harness.page import Row, Table

