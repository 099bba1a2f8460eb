"""Rows in more files than a machine holds, encoded, scored or drawn on Apache Beam: the extra `beam`."""
