"""Memory of programs: what is held at each step, in what order steps need least, and where buffers lie in one block."""
