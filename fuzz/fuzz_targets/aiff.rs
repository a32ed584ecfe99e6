#![no_main]

verbatim_fuzz::target!(audio);
