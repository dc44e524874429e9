"""HTTP/3 (RFC 9114) over aioquic's QUIC. Imported only where it is switched on."""
