"""The rooms behind the command line: one file each for a command, its inputs, its work, its outputs and its progress.

They use the package as any user would, through its public names; the package must not know them, only cli.py does.
"""
