#![no_main]

verbatim_fuzz::target!(subtitles);
