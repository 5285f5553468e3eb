"""Text4Vis' schedule as in text4vis_30e.py, with the optimizer of the code released in November 2022.

betas=(0.9, 0.98); later changed to (0.9, 0.999). Not copied from that code: its rate moves in steps of 10 iterations
and is 0 in the first 9.
"""

_base_ = ['text4vis_30e.py']

optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.98)))
