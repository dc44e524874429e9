"""The options of origins. As in `proxy.config.settings`, the text below each is its description."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxy.config.fields import (
    Bucket,
    Endpoint,
    FilePath,
    Flag,
    OptionalFile,
    OptionalSecret,
    OptionalText,
    Prefix,
    Whole,
)
from proxy.config.table import Table
from proxy.config.units import Duration, Timeout


class S3Origin(Table):
    """A bucket of any store that speaks S3."""

    type: Literal["s3"]
    """The kind of origin."""

    endpoint: Endpoint = None
    """URL of the store. Left out: AWS, by region."""

    region: OptionalText = None
    """Region of the bucket. Left out: as AWS_REGION or the profile say, else "us-east-1"."""

    bucket: Bucket
    """Name of the bucket."""

    prefix: Prefix = ""
    """Only keys below this are served, and it is not part of their address: "site/"."""

    addressing: Literal["path", "virtual"] = Field(
        default_factory=lambda data: "path" if data.get("endpoint") else "virtual"
    )
    """Whether the bucket is named in the URL's path or its host.
    Left out: "virtual" without an endpoint (AWS), "path" with one."""

    access_key_id: OptionalText = None
    """Left out or "": the usual AWS credential chain (environment, profile, roles)."""

    access_key_id_file: OptionalFile = None
    """File that holds the access key id, instead of `access_key_id`."""

    secret_access_key: OptionalSecret = None
    """The secret of `access_key_id`; better by file or environment than written down here."""

    secret_access_key_file: OptionalFile = None
    """File that holds the secret, instead of `secret_access_key`."""

    session_token: OptionalSecret = None
    """The token that belongs to temporary credentials."""

    session_token_file: OptionalFile = None
    """File that holds the session token, instead of `session_token`."""

    profile: OptionalText = None
    """Profile of the AWS configuration files to take credentials and region from."""

    unsigned: Flag = False
    """True sends requests without credentials, for public buckets."""

    connect_timeout: Timeout = 3.0
    """How long making a connection to the store may take."""

    first_byte_timeout: Timeout = 10.0
    """How long the store may take to begin its answer."""

    stall_timeout: Timeout = 20.0
    """How long the store may pause within an answer."""

    max_connections: Annotated[Whole, Field(ge=1, le=65536)] = 256
    """Most connections to the store, per worker."""

    max_retries: Annotated[Whole, Field(ge=0, le=10)] = 3
    """How often in a row a request that failed is tried again, and a body that broke off is
    resumed; 0 turns both off."""

    retry_budget: Annotated[float, Field(ge=0, le=10)] = 0.1
    """Retries for each request that succeeds, beside 5 per second; so that a store in trouble
    gets no more requests than it can bear. 0 turns retries off."""

    ca_bundle: OptionalFile = None
    """PEM file with the authorities to trust instead of the usual ones."""

    cache: Flag = True
    """False keeps nothing of this origin in the cache."""


class DirectoryOrigin(Table):
    """A directory of this machine."""

    type: Literal["directory"]
    """The kind of origin."""

    root: FilePath
    """The directory. Nothing outside it is ever served, unless `follow_symlinks` allows it."""

    follow_symlinks: Literal["inside", "never", "anywhere"] = "inside"
    """Which symbolic links are followed: those that stay inside the root, none, or all."""

    show_hidden: Flag = False
    """True serves files and directories whose name begins with a dot; otherwise they are 404."""

    cache: Flag = False
    """True keeps slices of its files in the cache, as for a file system that is far away."""

    recheck: Duration = 1.0
    """How old an answer that is kept in memory may be without a look at its file, and how long a
    directory on the way to a file is taken to be where it was. "0s" looks for every request."""


Origin = Annotated[S3Origin | DirectoryOrigin, Field(discriminator="type")]
