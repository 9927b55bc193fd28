"""What several rooms share: checks of arguments, files, random numbers, held
signals.
"""
