"""The networks of the chapter, the file that one is kept in, and a fast numerical
gradient for other classes.
"""
