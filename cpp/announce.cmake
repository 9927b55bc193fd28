# To the terminal, also where the output of a build is kept from it.
message("secant: compiling the core, which takes about a minute")
