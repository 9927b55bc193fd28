"""The networks of the chapter, the checks of their arguments, and their files."""
