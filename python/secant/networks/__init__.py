"""The networks of the chapter, and the file that one is kept in."""
