//! Every metric, declared once: name, help, buckets.
