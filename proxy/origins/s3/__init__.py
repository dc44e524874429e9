"""Objects in an S3 bucket, of AWS or of any store that speaks the same protocol.

Only this package names botocore, aiobotocore and aiohttp. aiobotocore knows where a bucket is and
finds the credentials; requests go over a transport of our own, because its client follows
redirects to any host, waits for ever for a connection, and costs five times the CPU of a small GET.

| module      | its part                                                      | does I/O |
| ----------- | ------------------------------------------------------------- | -------- |
| options     | the plain values an origin is made from                       |          |
| origin      | `S3Origin`: open an object in one request, list, start, close | yes      |
| object      | `S3Object`: reads spans of one version                        | yes      |
| parts       | in what parts an object was uploaded                          | yes      |
| transport   | signed requests over kept connections, with bounds on waiting | yes      |
| connector   | which connections are reused, and the one retry               | yes      |
| credentials | who signs, and the refresh in the background                  | yes      |
| chain       | the credential chain, in a thread with a loop of its own      | yes      |
| endpoint    | where the bucket is, as aiobotocore would address it          | files    |
| client      | the transport with the keys of the moment; refusals to faults  | yes      |
| signing     | AWS Signature Version 4 for requests without a body           |          |
| answers     | heads of answers to representations, checked                  |          |
| faults      | refusals to faults                                            |          |
| probe       | the first request, and what is wrong in one line              | yes      |
| listing     | ListObjectsV2: query and answer                               |          |
"""

from proxy.origins.s3.options import S3Options
from proxy.origins.s3.origin import S3Origin

__all__ = ["S3Options", "S3Origin"]
