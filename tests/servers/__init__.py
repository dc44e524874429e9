"""Real servers for tests and benchmarks: started on loopback, on free ports, stopped by pid.

Each is a context manager; making one starts it, and `stop()` or leaving the block ends it:

    with SeaweedFS() as store:
        store.uploads.put("media", "a.txt", b"hello", content_type="text/plain")
"""

from tests.servers.nginx import Nginx
from tests.servers.s3 import RcloneS3, S3Server, SeaweedFS
from tests.servers.uploads import Uploads

__all__ = ["Nginx", "RcloneS3", "S3Server", "SeaweedFS", "Uploads"]
