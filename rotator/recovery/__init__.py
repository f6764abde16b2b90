"""What became of mints that nobody saw the end of: found by their records, and put right."""
