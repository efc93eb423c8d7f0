# SPDX-License-Identifier: Apache-2.0
"""What a builder of images is sent: a folder less what its `.dockerignore` leaves out, and a hash of just that.

Whoever makes a plan and whoever carries it out read the same files by the same rules, so the hash says whether they
have the same in hand.
"""
