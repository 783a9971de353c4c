"""Program to plan: what the compiler does, pass by pass, is on the page `pipeline`."""
