# SPDX-License-Identifier: AGPL-3.0-only
"""Somebody else's mail server, for tests of outgoing mail: SMTP with STARTTLS on port 25.

In: connections. Out: `messages`, each (was it inside TLS, octets), and `greeted`, how often
somebody connected. Its certificate is self-signed, as nobody's is in a test.
"""

import pathlib
import socket
import ssl
import tempfile
import threading


class Exchange:
    """Listens on `address`, which must not be a loopback address: those are not used."""

    def __init__(self, address, certificate):
        self.messages, self.greeted = [], 0
        with tempfile.TemporaryDirectory() as directory:
            certificate(directory, "mx.example.net")
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pathlib.Path(directory) / "fullchain.pem",
                                         pathlib.Path(directory) / "key.pem")
        self.listener = socket.create_server((address, 25))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Stops listening."""
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.greeted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self._converse(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def _converse(self, connection):
        reader, is_tls = connection.makefile("rb"), False
        connection.sendall(b"220 mx.example.net ESMTP\r\n")
        while line := reader.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"EHLO":
                connection.sendall(b"250-mx.example.net\r\n250-REQUIRETLS\r\n250 STARTTLS\r\n"
                                   if not is_tls else b"250-mx.example.net\r\n250 REQUIRETLS\r\n")
            elif verb == b"STARTTLS":
                connection.sendall(b"220 go\r\n")
                connection = self.context.wrap_socket(connection, server_side=True)
                reader, is_tls = connection.makefile("rb"), True
            elif verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                lines = []
                while (line := reader.readline()) not in (b".\r\n", b""):
                    lines.append(line)
                self.messages.append((is_tls, b"".join(lines)))
                connection.sendall(b"250 taken\r\n")
            elif verb == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")
