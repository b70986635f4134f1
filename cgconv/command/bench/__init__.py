"""The command `cgconv bench`: convolutions, measured beside those of other libraries, its peers.

One file each for problems, cases, the machine, verification and clock, tables, the plot; one file per peer in peers/.
"""
