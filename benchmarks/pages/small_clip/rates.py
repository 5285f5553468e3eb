"""The rates: how they were chosen, before any reported seed was run, and what was chosen.

Every row of Table 1 and of one shot was run at four rates of the encoder with seed 100, which is not reported
(`python benchmarks/small_clip_rates.py`). Regime (i) takes the best one of vision-only for all rows; regime (ii) takes
the best one of each row. Of equal ones the lower is taken.
"""

from pages.small_clip.rows import ONE_SHOT, RATES, ROWS

#: The seed the rates were chosen with.
SEED = 100
#: All that were tried.
TRIED = dict.fromkeys((*ROWS, *ONE_SHOT), RATES)
#: The best one of each row; `benchmarks/small_clip_rates.py` shows the accuracies.
OWN: dict[str, float] = {}
