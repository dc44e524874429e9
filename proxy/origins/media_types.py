"""Media types by file name: a table of our own, the same on every machine.

The standard library's table is merged with whatever mime.types the machine has, so two replicas
could answer differently. Types are those of the IANA registry, or else what browsers expect.
Text has `charset=utf-8`: without it browsers guess from the locale. Another type is another row.
"""

from __future__ import annotations

# Types whose bytes are text in UTF-8. "text/…" is always among them.
_TEXT_TOO = frozenset({"application/xhtml+xml", "application/xml"})

_TABLE = {
    # the web
    "text/html": "html htm",
    "application/xhtml+xml": "xhtml xht",
    "text/css": "css",
    "text/javascript": "js mjs cjs",  # RFC 9239
    "application/json": "json map topojson",  # RFC 8259: always UTF-8, has no charset
    "application/ld+json": "jsonld",
    "application/geo+json": "geojson",
    "application/manifest+json": "webmanifest",
    "application/wasm": "wasm",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/xml": "xml xsl xsd xslt",
    # images
    "image/png": "png",
    "image/apng": "apng",
    "image/jpeg": "jpg jpeg jpe jfif",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/jxl": "jxl",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/svg+xml": "svg",
    "image/x-icon": "ico cur",
    "image/bmp": "bmp",
    "image/tiff": "tif tiff",
    "image/vnd.adobe.photoshop": "psd",
    # video
    "video/mp4": "mp4 m4v mp4v",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "video/quicktime": "mov qt",
    "video/matroska": "mkv",  # RFC 9559
    "video/x-msvideo": "avi",
    "video/x-ms-wmv": "wmv",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg mpg mpe",
    "video/mp2t": "ts m2ts mts",  # HLS segments, RFC 8216
    "video/iso.segment": "m4s",
    "video/3gpp": "3gp",
    "application/vnd.apple.mpegurl": "m3u8",
    "application/dash+xml": "mpd",
    "text/vtt": "vtt",
    "application/x-subrip": "srt",
    # audio
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a m4b",
    "audio/aac": "aac",
    "audio/ogg": "ogg oga opus spx",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/matroska": "mka",
    "audio/aiff": "aif aiff",
    "audio/midi": "mid midi",
    "audio/x-mpegurl": "m3u",
    # fonts, RFC 8081
    "font/woff2": "woff2",
    "font/woff": "woff",
    "font/ttf": "ttf",
    "font/otf": "otf",
    "font/collection": "ttc",
    "application/vnd.ms-fontobject": "eot",
    # archives and images of disks; "x.tar.gz" is a gzip file too
    "application/zip": "zip",
    "application/gzip": "gz tgz",
    "application/zstd": "zst tzst",
    "application/x-bzip2": "bz2 tbz2",
    "application/x-xz": "xz txz",
    "application/x-brotli": "br",
    "application/x-tar": "tar",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "rar",
    "application/java-archive": "jar",
    "application/vnd.android.package-archive": "apk",
    "application/vnd.debian.binary-package": "deb",
    "application/x-rpm": "rpm",
    "application/x-apple-diskimage": "dmg",
    "application/x-iso9660-image": "iso",
    "application/octet-stream": "bin img exe msi dll so pack",
    # documents
    "application/pdf": "pdf",
    "application/epub+zip": "epub",
    "application/rtf": "rtf",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/postscript": "ps eps ai",
    # text and code
    "text/plain": (
        "txt text log conf cfg ini properties env diff patch d.ts tsx jsx py pyi rb go rs "
        "c h cc cpp hpp java kt swift sh bash zsh sql lua pl r tex rst adoc"
    ),
    "text/markdown": "md markdown",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/calendar": "ics",
    "text/vcard": "vcf",
    "application/yaml": "yaml yml",  # RFC 9512
    "application/toml": "toml",
    "application/x-ndjson": "ndjson jsonl",
    # data and models
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow feather",
    "application/vnd.sqlite3": "sqlite sqlite3",
    "application/x-hdf5": "h5 hdf5",
    "application/protobuf": "pb",
    "application/x-x509-ca-cert": "crt cer der",
    "application/x-pem-file": "pem",
    "model/gltf+json": "gltf",
    "model/gltf-binary": "glb",
    "model/stl": "stl",
    "model/obj": "obj",
}


def _with_charset(media_type: str) -> str:
    is_text = media_type.startswith("text/") or media_type in _TEXT_TOO
    return f"{media_type}; charset=utf-8" if is_text else media_type


_BY_EXTENSION = {
    extension: _with_charset(media_type)
    for media_type, extensions in _TABLE.items()
    for extension in extensions.split()
}


def media_type_of(key: str) -> str | None:
    """The Content-Type that the end of a key tells, or None if it tells none we know.

    Two extensions together come before the last one alone (`x.d.ts` is no video). Letters
    match in any case. A name that only begins with a dot (`.png`) has no extension.
    """
    stem, *extensions = key.rpartition("/")[2].lower().rsplit(".", 2)
    if not extensions or (len(extensions) == 1 and not stem):
        return None
    double = ".".join(extensions) if stem else ""
    return _BY_EXTENSION.get(double) or _BY_EXTENSION.get(extensions[-1])
