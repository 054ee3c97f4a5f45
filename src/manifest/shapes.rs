//! The table of shapes: every kind of file, every part of one, every kind of string that has a name.
//!
//! To add a shape, add an entry to [`TABLE`]: its name, what it is, where we know it from, examples (which are tested), and
//! its rule. A rule is made of the records below and the kinds of strings in [`super::texts`]. `builtins.cudaRedist.check`,
//! `cuda-redist check --shape` and `cuda-redist schema` know it then.

use std::borrow::Cow;

use super::laws;
use super::texts::{
    self, CUDA_ARCH, CUDA_CAPABILITY, DATE, FILE_NAME, HASH, LIB_SO_NAME, LINE, MAJOR, MAJOR_MINOR,
    MAJOR_MINOR_PATCH, MAJOR_MINOR_PATCH_BUILD, MD5, NAME, NIX32_HASH, RELATIVE_PATH, SHA256, SIZE,
    SRI_HASH, STRING, URL, VARIANT, VERSION,
};
use crate::shape::{Either, Field, Ordered, Record, Ref, Rest, Rule, Shape, Test, Text};
use crate::text;

/// All shapes that have a name.
pub static TABLE: &[Shape] = &[
    // Files.
    Shape {
        name: "redistrib",
        doc: "A redistrib manifest: for one product and label, a release per package.",
        source: "NVIDIA's `redistrib_*.json`: <https://developer.download.nvidia.com/compute/cuda/redist/>, redistrib-v2.schema.json",
        fitting: &[
            r#"{ "release_date": "2025-06-04", "release_label": "12.9.1", "release_product": "cuda", "cuda_cudart": {
                "name": "CUDA Runtime (cudart)", "license": "CUDA Toolkit", "version": "12.9.79", "linux-x86_64": {
                "relative_path": "cuda_cudart/linux-x86_64/cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz",
                "sha256": "1f6ad42d4f530b24bfa35894ccf6b7209d2354f59101fd62ec4a6192a184ce99",
                "md5": "41e8dbbbcf7ccc7b3f6ec0a4ca57a7e1", "size": "1545764" } } }"#,
        ],
        refused: &[
            "[]",
            r#"{ "release_label": 12.9 }"#,
            r#"{ "cuda_cudart": {} }"#,
        ],
        rule: Rule::record(&REDISTRIB),
    },
    Shape {
        name: "feature",
        doc: "A feature manifest: what the archives of a redistrib manifest hold, by package and platform.",
        source: "`feature_*.json` as cuda-redist-find-features writes them",
        fitting: &[
            r#"{ "cuda_cudart": { "linux-x86_64": { "outputs": {
                "bin": false, "dev": true, "doc": false, "lib": true, "sample": false, "static": true } } } }"#,
            r#"{ "libcutensor": { "linux-sbsa": { "outputs": ["out", "dev", "include", "lib", "static"],
                "cudaArchitectures": { "11": ["sm_80"], "12": ["sm_80", "sm_90a"] },
                "providedLibs": ["libcutensor.so.2"], "neededLibs": ["libc.so.6"], "dependencies": ["libcublas"] } } }"#,
        ],
        refused: &["[]", r#"{ "cuda_cudart": { "linux-x86_64": {} } }"#],
        rule: Rule::record(&FEATURE),
    },
    Shape {
        name: "releases",
        doc: "A release expression: archives that no manifest lists, by platform, below `releases` or below a product's `releases`.",
        source: "nixpkgs, `pkgs/development/cuda-modules/cudnn/releases.nix` until 2025",
        fitting: &[
            r#"{ "cudnn": { "releases": { "linux-x86_64": [ { "version": "8.9.7.29", "minCudaVersion": "12.0", "maxCudaVersion": "12.8",
                "url": "https://developer.download.nvidia.com/compute/cudnn/redist/cudnn/linux-x86_64/cudnn-linux-x86_64-8.9.7.29_cuda12-archive.tar.xz",
                "hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" } ] } } }"#,
            r#"{ "releases": { "linux-sbsa": [] } }"#,
        ],
        refused: &[
            "[]",
            r#"{ "cudnn": [] }"#,
            r#"{ "releases": { "linux-x86_64": {} } }"#,
        ],
        rule: Rule::record(&RELEASES),
    },
    // Parts of files.
    Shape {
        name: "redistribRelease",
        doc: "A release: what a redistrib manifest says of one package. Platforms hold an archive each, or, when there is a key that ends in `_variant` (`cuda_variant`), an archive per variant.",
        source: "185 manifests of NVIDIA; NVIDIA/build-system-archive-import-examples#6 for variants",
        fitting: &[
            r#"{ "name": "NVIDIA CUDA Deep Neural Network library", "license": "cudnn", "version": "9.8.0.87", "cuda_variant": ["12"],
                "linux-sbsa": { "cuda12": { "relative_path": "cudnn/linux-sbsa/cudnn-linux-sbsa-9.8.0.87_cuda12-archive.tar.xz",
                "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "md5": "d41d8cd98f00b204e9800998ecf8427e", "size": "0" } } }"#,
        ],
        refused: &[
            "{}",
            r#"{ "name": "", "license": "cudnn", "version": "9.8" }"#,
        ],
        rule: Rule::record(&REDISTRIB_RELEASE),
    },
    Shape {
        name: "redistribPackage",
        doc: "One archive of a redistrib manifest.",
        source: "these four keys and no others in all 5 759 objects of 185 manifests",
        fitting: &[
            r#"{ "relative_path": "a/b.tar.xz", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "md5": "d41d8cd98f00b204e9800998ecf8427e", "size": "0" }"#,
        ],
        refused: &["{}", r#"{ "relative_path": "../b.tar.xz" }"#],
        rule: Rule::record(&REDISTRIB_PACKAGE),
    },
    Shape {
        name: "buildableRelease",
        doc: "A release with what building needs: as `redistribRelease`, but `md5` and `size` of archives may be absent, as whoever lists only a hash does not know them, and an archive may say its `url`.",
        source: "this project: what release expressions become (`nix/shims`)",
        fitting: &[
            r#"{ "name": "NVIDIA TensorRT", "license": "TensorRT", "version": "8.6.1.6", "linux-x86_64": {
                "relative_path": "TensorRT-8.6.1.6.Linux.x86_64-gnu.cuda-12.0.tar.gz",
                "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" } }"#,
        ],
        refused: &[
            "{}",
            r#"{ "name": "NVIDIA TensorRT", "license": "TensorRT", "version": "8.6.1.6", "linux-x86_64": { "relative_path": "a" } }"#,
        ],
        rule: Rule::record(&BUILDABLE_RELEASE),
    },
    Shape {
        name: "buildablePackage",
        doc: "One archive with what building needs: as `redistribPackage`, but `md5` and `size` may be absent, and it may say its `url`.",
        source: "this project: what release expressions become (`nix/shims`)",
        fitting: &[
            r#"{ "relative_path": "a/b.tar.xz", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }"#,
            r#"{ "relative_path": "a/b.tar.xz", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "md5": "d41d8cd98f00b204e9800998ecf8427e", "size": "0", "url": "https://example.org/b.tar.xz" }"#,
        ],
        refused: &[
            r#"{ "relative_path": "a/b.tar.xz" }"#,
            r#"{ "relative_path": "a/b.tar.xz", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size": 0 }"#,
        ],
        rule: Rule::record(&BUILDABLE_PACKAGE),
    },
    Shape {
        name: "featureRelease",
        doc: "What the archives of one package hold, by platform.",
        source: "`feature_*.json` as cuda-redist-find-features writes them",
        fitting: &[r#"{ "linux-x86_64": { "outputs": ["out"] } }"#],
        refused: &[r#"{ "linux-x86_64": { "outputs": "out" } }"#],
        rule: Rule::record(&FEATURE_RELEASE),
    },
    Shape {
        name: "featurePackage",
        doc: "What one archive holds: its outputs, and where it was looked at, CUDA architectures and libraries, as a list or by the folder below `lib` that they are in.",
        source: "cuda-redist-find-features (six booleans); its successor in cuda-packages (a list)",
        fitting: &[
            r#"{ "outputs": { "bin": true, "dev": false, "doc": false, "lib": false, "sample": false, "static": false } }"#,
            r#"{ "outputs": ["out", "lib"], "cudaVersionsInLib": ["11", "12.0"], "neededLibs": { "11": [] } }"#,
        ],
        refused: &[
            r#"{ "outputs": { "bin": true } }"#,
            r#"{ "outputs": ["lib", "library"] }"#,
            r#"{ "outputs": ["out"], "cudaArchitectures": ["90"] }"#,
        ],
        rule: Rule::record(&FEATURE_PACKAGE),
    },
    Shape {
        name: "releasesByPlatform",
        doc: "The lists of releases of a release expression, by platform.",
        source: "nixpkgs, `modules/generic/releases` until 2025",
        fitting: &[r#"{ "linux-x86_64": [], "linux-sbsa": [] }"#],
        refused: &[r#"{ "linux-x86_64": null }"#],
        rule: Rule::record(&RELEASES_BY_PLATFORM),
    },
    Shape {
        name: "releasePackage",
        doc: "One archive of a release expression, and the CUDA versions it is for, both ends included.",
        source: "nixpkgs, `modules/generic/releases` and the release expressions of cuDNN and TensorRT until 2025",
        fitting: &[
            r#"{ "version": "8.6.1.6", "minCudaVersion": "12.0", "maxCudaVersion": "12.1", "cudnnVersion": null,
                "filename": "TensorRT-8.6.1.6.Linux.x86_64-gnu.cuda-12.0.tar.gz",
                "hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }"#,
        ],
        refused: &[
            r#"{ "version": "8.6.1.6", "minCudaVersion": "12.1", "maxCudaVersion": "12.0",
                "hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }"#,
            r#"{ "version": "8.6", "minCudaVersion": "12.0", "maxCudaVersion": "12.1",
                "hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }"#,
        ],
        rule: Rule::record(&RELEASE_PACKAGE),
    },
    // Strings.
    word("string", "Any string.", "JSON", &STRING, &[r#""""#], &["1"]),
    word(
        "line",
        "Words for people on one line, not empty.",
        "`name` and `license` in manifests",
        &LINE,
        &[r#""CUDA Runtime (cudart)""#],
        &[r#""""#, r#""two\nlines""#],
    ),
    word(
        "license",
        "The name of a licence.",
        "`license` in manifests",
        &LINE,
        &[r#""CUDA Toolkit""#],
        &[r#""""#],
    ),
    word(
        "name",
        "The name of a package: it becomes part of attribute paths and of store paths.",
        "package keys of manifests; Nix's rules for store path names",
        &NAME,
        &[r#""cuda_cudart""#],
        &[r#""a/b""#, r#""..""#, r#""two words""#],
    ),
    word(
        "platform",
        "A platform as NVIDIA names it. Unknown ones pass: NVIDIA adds platforms.",
        "platform keys of manifests",
        &NAME,
        &[r#""linux-sbsa""#, r#""source""#],
        &[r#""linux x86""#],
    ),
    word(
        "variant",
        "The key of an archive among the variants of a platform.",
        "manifests with `cuda_variant`",
        &VARIANT,
        &[r#""cuda12""#, r#""cuda13.2""#],
        &[r#""""#],
    ),
    word(
        "version",
        "A version of digits and dots, of any number of parts.",
        "`version` in manifests",
        &VERSION,
        &[r#""25.5""#, r#""9.8.0.87""#],
        &[r#""12.9-rc1""#, r#""12.""#],
    ),
    word(
        "major",
        "A version of one part.",
        "nixpkgs, `modules/generic/types` until 2025",
        &MAJOR,
        &[r#""12""#],
        &[r#""12.9""#],
    ),
    word(
        "majorMinor",
        "A version of two parts.",
        "nixpkgs, `modules/generic/types` until 2025",
        &MAJOR_MINOR,
        &[r#""12.9""#],
        &[r#""12""#, r#""12.9.1""#],
    ),
    word(
        "majorMinorPatch",
        "A version of three parts.",
        "nixpkgs, `modules/generic/types` until 2025",
        &MAJOR_MINOR_PATCH,
        &[r#""12.9.1""#],
        &[r#""12.9""#],
    ),
    word(
        "majorMinorPatchBuild",
        "A version of four parts.",
        "nixpkgs, `modules/generic/types` until 2025",
        &MAJOR_MINOR_PATCH_BUILD,
        &[r#""9.8.0.87""#],
        &[r#""9.8.0""#],
    ),
    word(
        "sha256",
        "A SHA-256 as NVIDIA writes it: 64 lowercase hex digits.",
        "`sha256` in manifests",
        &SHA256,
        &[r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855""#],
        &[r#""E3B0""#],
    ),
    word(
        "md5",
        "An MD5 as NVIDIA writes it: 32 lowercase hex digits.",
        "`md5` in manifests",
        &MD5,
        &[r#""d41d8cd98f00b204e9800998ecf8427e""#],
        &[r#""d41d""#],
    ),
    word(
        "sriHash",
        "A SHA-256 as an SRI hash.",
        "<https://www.w3.org/TR/SRI/>; Nix's `hash` attributes",
        &SRI_HASH,
        &[
            r#""sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=""#,
            r#""sha256-Bp2ghM02jzn7gw1MTpMYAwZPtl52b0z33y2ko0aiup8""#,
        ],
        &[
            r#""sha256-""#,
            r#""sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=""#,
        ],
    ),
    word(
        "nix32Hash",
        "A SHA-256 in Nix's base 32.",
        "`nix hash to-base32`",
        &NIX32_HASH,
        &[r#""0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73""#],
        &[r#""0mdq""#],
    ),
    word(
        "hash",
        "A SHA-256 in any of its three notations.",
        "`hash` in release expressions; Nix's `sha256` attributes",
        &HASH,
        &[
            r#""sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=""#,
            r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855""#,
        ],
        &[r#""sha256:47DE""#],
    ),
    word(
        "size",
        "A size in bytes, as a string of decimal digits.",
        "`size` in manifests",
        &SIZE,
        &[r#""1545764""#],
        &["1545764", r#""1.5 MB""#],
    ),
    word(
        "relativePath",
        "Where a file lies below its product's address. Manifests of NVIDIA's channels may begin it with `../../../pool/`.",
        "`relative_path` in manifests; channel manifests as nvidia-binarchive 0.7.0 reads them",
        &RELATIVE_PATH,
        &[r#""a/b.tar.xz""#, r#""../../../pool/a/b.tar.xz""#],
        &[r#""/a""#, r#""../a""#, r#""a//b""#],
    ),
    word(
        "fileName",
        "A file name, without a folder.",
        "`filename` in TensorRT's release expressions",
        &FILE_NAME,
        &[r#""TensorRT-8.6.1.6.tar.gz""#],
        &[r#""a/b""#, r#""..""#],
    ),
    word(
        "url",
        "Where a file is fetched from.",
        "`url` in cuDNN's release expressions",
        &URL,
        &[r#""https://example.org/a.tar.xz""#],
        &[r#""a.tar.xz""#],
    ),
    word(
        "date",
        "A date: year, month, day.",
        "`release_date` in manifests",
        &DATE,
        &[r#""2025-06-04""#],
        &[r#""2025-13-04""#, r#""04.06.2025""#],
    ),
    word(
        "cudaArch",
        "A real CUDA architecture, with `a` or `f` where it is specific to an architecture or family.",
        "`cuobjdump --list-elf`; NVCC's `--gpu-code`",
        &CUDA_ARCH,
        &[r#""sm_90a""#, r#""sm_120f""#],
        &[r#""90""#, r#""compute_90""#, r#""sm_90b""#],
    ),
    word(
        "cudaCapability",
        "A compute capability.",
        "NVIDIA, CUDA C++ Programming Guide, Compute Capabilities",
        &CUDA_CAPABILITY,
        &[r#""9.0""#, r#""12.0f""#],
        &[r#""9""#, r#""sm_90""#],
    ),
    word(
        "libSoName",
        "The name of a shared library, with or without a version.",
        "nixpkgs, `modules/generic/types` until 2025",
        &LIB_SO_NAME,
        &[r#""libcudart.so.12""#, r#""libcuda.so""#],
        &[r#""libcudart.a""#, r#""lib/libcudart.so""#],
    ),
    // What is no string.
    Shape {
        name: "anything",
        doc: "Any value; it is not looked at.",
        source: "JSON",
        fitting: &["null"],
        refused: &[],
        rule: Rule::Anything,
    },
    Shape {
        name: "boolean",
        doc: "`true` or `false`.",
        source: "JSON",
        fitting: &["true"],
        refused: &["null"],
        rule: Rule::Bool,
    },
];

/// The shape called `name`.
pub fn shape(name: &str) -> Option<&'static Shape> {
    TABLE.iter().find(|shape| shape.name == name)
}

const fn word(
    name: &'static str,
    doc: &'static str,
    source: &'static str,
    text: &'static Text,
    fitting: &'static [&'static str],
    refused: &'static [&'static str],
) -> Shape {
    Shape {
        name,
        doc,
        source,
        fitting,
        refused,
        rule: Rule::text(text),
    }
}

/// Source: NVIDIA's redistrib-v2.schema.json and 185 manifests.
pub(super) static REDISTRIB: Record = Record {
    what: Cow::Borrowed("a redistrib manifest"),
    fields: Cow::Borrowed(&[
        Field::optional(
            "release_date",
            Rule::text(&DATE),
            "When it was released; hand-made manifests lack it",
        ),
        Field::optional(
            "release_label",
            Rule::text(&VERSION),
            "The version of the whole release; absent before CUDA 12.2",
        ),
        Field::optional(
            "release_product",
            Rule::text(&NAME),
            "The product; absent before CUDA 12.2",
        ),
    ]),
    rest: Rest::Each {
        key: Ref::Static(&NAME),
        rule: Rule::record(&REDISTRIB_RELEASE),
    },
    ordered: &[],
    law: Some(laws::MANIFEST),
};

/// A release: what a manifest says of one package. Nested by variant exactly if it has a key that ends in `_variant`.
pub static REDISTRIB_RELEASE: Record = Record {
    what: Cow::Borrowed("a release"),
    fields: Cow::Borrowed(&RELEASE_FIELDS),
    rest: by_platform(
        Rule::record(&REDISTRIB_VARIANTS),
        Rule::record(&REDISTRIB_PACKAGE),
    ),
    ordered: &[],
    law: Some(laws::RELEASE),
};

/// A release of archives of which perhaps nobody knows more than the SHA-256.
pub static BUILDABLE_RELEASE: Record = Record {
    what: Cow::Borrowed("a release"),
    fields: Cow::Borrowed(&RELEASE_FIELDS),
    rest: by_platform(
        Rule::record(&BUILDABLE_VARIANTS),
        Rule::record(&BUILDABLE_PACKAGE),
    ),
    ordered: &[],
    law: Some(laws::RELEASE),
};

/// What a release says besides its archives.
pub(super) static RELEASE_FIELDS: [Field; 4] = [
    Field::required("name", Rule::text(&LINE), "The package's name for people"),
    Field::required("license", Rule::text(&LINE), "The licence's name"),
    Field::optional(
        "license_path",
        Rule::text(&RELATIVE_PATH),
        "Where the licence lies below the product's address",
    ),
    Field::required("version", Rule::text(&VERSION), "The package's own version"),
];

/// The archives of a release by platform: each a `package`, or `variants` where the release lists some.
const fn by_platform(variants: Rule, package: Rule) -> Rest {
    Rest::Marked {
        key: Ref::Static(&NAME),
        ending: VARIANT_ENDING,
        usual: "cuda_variant",
        marker: Rule::list(&A_VARIANT_VALUE),
        present: variants,
        absent: package,
    }
}

/// How the key ends that lists a release's variants. What stands before it is how the variants' own keys begin:
/// `"cuda_variant": ["12"]` goes with `cuda12`. Source: NVIDIA's shell-parse.sh.
pub(super) const VARIANT_ENDING: &str = "_variant";

static A_VARIANT_VALUE: Rule = Rule::text(&VARIANT_VALUE);

static VARIANT_VALUE: Text = Text {
    expected: Cow::Borrowed("a version such as `12` or `13.2`"),
    test: Test::By(texts::judge_version),
    pattern: Some(Cow::Borrowed(r"^[0-9]+(\.[0-9]+)*$")),
};

static REDISTRIB_VARIANTS: Record = Record {
    what: Cow::Borrowed("the packages of one platform by variant"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&VARIANT),
        rule: Rule::record(&REDISTRIB_PACKAGE),
    },
    ordered: &[],
    law: None,
};

static BUILDABLE_VARIANTS: Record = Record {
    what: Cow::Borrowed("the packages of one platform by variant"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&VARIANT),
        rule: Rule::record(&BUILDABLE_PACKAGE),
    },
    ordered: &[],
    law: None,
};

static REDISTRIB_PACKAGE: Record = Record {
    what: Cow::Borrowed("a package"),
    fields: Cow::Borrowed(&[
        RELATIVE_PATH_FIELD,
        SHA256_FIELD,
        Field::required("md5", Rule::text(&MD5), MD5_DOC),
        Field::required("size", Rule::text(&SIZE), SIZE_DOC),
    ]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

static BUILDABLE_PACKAGE: Record = Record {
    what: Cow::Borrowed("a package"),
    fields: Cow::Borrowed(&[
        RELATIVE_PATH_FIELD,
        SHA256_FIELD,
        Field::optional("md5", Rule::text(&MD5), MD5_DOC),
        Field::optional("size", Rule::text(&SIZE), SIZE_DOC),
        Field::optional(
            "url",
            Rule::text(&URL),
            "Where the archive is fetched from, if not below the product's address",
        ),
    ]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

const RELATIVE_PATH_FIELD: Field = Field::required(
    "relative_path",
    Rule::text(&RELATIVE_PATH),
    "Where the archive lies below the product's address",
);
const SHA256_FIELD: Field =
    Field::required("sha256", Rule::text(&SHA256), "SHA-256 of the archive");
const MD5_DOC: &str = "MD5 of the archive";
const SIZE_DOC: &str = "Size of the archive in bytes";

static FEATURE: Record = Record {
    what: Cow::Borrowed("a feature manifest"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&NAME),
        rule: Rule::record(&FEATURE_RELEASE),
    },
    ordered: &[],
    law: None,
};

static FEATURE_RELEASE: Record = Record {
    what: Cow::Borrowed("the features of one package by platform"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&NAME),
        rule: Rule::record(&FEATURE_PACKAGE),
    },
    ordered: &[],
    law: Some(laws::PLATFORMS),
};

static FEATURE_PACKAGE: Record = Record {
    what: Cow::Borrowed("the features of one archive"),
    fields: Cow::Borrowed(&[
        Field::required(
            "outputs",
            Rule::either(&OUTPUTS),
            "Which outputs a package of it has",
        ),
        Field::optional(
            "cudaArchitectures",
            Rule::either(&ARCHITECTURES),
            "The real architectures that its libraries have code for",
        ),
        Field::optional(
            "providedLibs",
            Rule::either(&LIBRARIES),
            "The sonames of its libraries",
        ),
        Field::optional(
            "neededLibs",
            Rule::either(&LIBRARIES),
            "The libraries that its libraries need",
        ),
        Field::optional(
            "dependencies",
            Rule::either(&PACKAGES),
            "The packages that have those libraries",
        ),
        Field::optional(
            "cudaVersionsInLib",
            Rule::nullable(&CUDA_VERSIONS),
            "The folders below `lib` that are named after a CUDA version",
        ),
    ]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

static OUTPUTS: Either = Either {
    item: Rule::text(&OUTPUT),
    record: Ref::Static(&SIX_OUTPUTS),
};

/// The names of outputs, in the order of the successor of cuda-redist-find-features.
static OUTPUT: Text = Text {
    expected: Cow::Borrowed(
        "one of the outputs `out`, `bin`, `dev`, `doc`, `include`, `lib`, `python`, `sample`, `static`, `stubs`",
    ),
    test: Test::By(|output| match output {
        "out" | "bin" | "dev" | "doc" | "include" | "lib" | "python" | "sample" | "static"
        | "stubs" => Ok(()),
        _ => Err(text::quote(output)),
    }),
    pattern: Some(Cow::Borrowed(
        "^(out|bin|dev|doc|include|lib|python|sample|static|stubs)$",
    )),
};

/// As published: all six, no other.
static SIX_OUTPUTS: Record = Record {
    what: Cow::Borrowed("six outputs"),
    fields: Cow::Borrowed(&[
        Field::required("bin", Rule::Bool, "Are there programs"),
        Field::required(
            "dev",
            Rule::Bool,
            "Are there headers, pkg-config or CMake files",
        ),
        Field::required("doc", Rule::Bool, "Is there documentation"),
        Field::required("lib", Rule::Bool, "Are there shared libraries"),
        Field::required("sample", Rule::Bool, "Are there samples"),
        Field::required("static", Rule::Bool, "Are there static libraries"),
    ]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

static ARCHITECTURES: Either = Either {
    item: Rule::text(&CUDA_ARCH),
    record: Ref::Static(&Record {
        what: Cow::Borrowed("architectures by folder"),
        fields: Cow::Borrowed(&[]),
        rest: Rest::Each {
            key: Ref::Static(&NAME),
            rule: Rule::list(&Rule::Text(Ref::Static(&CUDA_ARCH))),
        },
        ordered: &[],
        law: None,
    }),
};

static LIBRARIES: Either = Either {
    item: Rule::text(&LIB_SO_NAME),
    record: Ref::Static(&Record {
        what: Cow::Borrowed("libraries by folder"),
        fields: Cow::Borrowed(&[]),
        rest: Rest::Each {
            key: Ref::Static(&NAME),
            rule: Rule::list(&Rule::Text(Ref::Static(&LIB_SO_NAME))),
        },
        ordered: &[],
        law: None,
    }),
};

static PACKAGES: Either = Either {
    item: Rule::text(&NAME),
    record: Ref::Static(&Record {
        what: Cow::Borrowed("packages by folder"),
        fields: Cow::Borrowed(&[]),
        rest: Rest::Each {
            key: Ref::Static(&NAME),
            rule: Rule::list(&Rule::Text(Ref::Static(&NAME))),
        },
        ordered: &[],
        law: None,
    }),
};

static CUDA_VERSIONS: Rule = Rule::list(&A_VARIANT_VALUE);

static RELEASES: Record = Record {
    what: Cow::Borrowed("a release expression"),
    fields: Cow::Borrowed(&[Field::optional(
        "releases",
        Rule::record(&RELEASES_BY_PLATFORM),
        "The releases, where the file is about one product",
    )]),
    rest: Rest::Each {
        key: Ref::Static(&NAME),
        rule: Rule::record(&RELEASES_OF_PRODUCT),
    },
    ordered: &[],
    law: None,
};

static RELEASES_OF_PRODUCT: Record = Record {
    what: Cow::Borrowed("the releases of a product"),
    fields: Cow::Borrowed(&[Field::required(
        "releases",
        Rule::record(&RELEASES_BY_PLATFORM),
        "The releases by platform",
    )]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

static RELEASES_BY_PLATFORM: Record = Record {
    what: Cow::Borrowed("releases by platform"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&NAME),
        rule: Rule::list(&Rule::Record(Ref::Static(&RELEASE_PACKAGE))),
    },
    ordered: &[],
    law: Some(laws::RELEASES),
};

static RELEASE_PACKAGE: Record = Record {
    what: Cow::Borrowed("a release"),
    fields: Cow::Borrowed(&[
        Field::required(
            "version",
            Rule::text(&MAJOR_MINOR_PATCH_BUILD),
            "The version of the product",
        ),
        Field::required(
            "minCudaVersion",
            Rule::text(&MAJOR_MINOR),
            "The oldest CUDA it is for",
        ),
        Field::required(
            "maxCudaVersion",
            Rule::text(&MAJOR_MINOR),
            "The newest CUDA it is for",
        ),
        Field::required("hash", Rule::text(&HASH), "SHA-256 of the archive"),
        Field::optional("url", Rule::text(&URL), "Where the archive is fetched from"),
        Field::optional(
            "filename",
            Rule::text(&FILE_NAME),
            "The archive's file name",
        ),
        Field::optional(
            "cudnnVersion",
            Rule::nullable(&Rule::Text(Ref::Static(&MAJOR_MINOR))),
            "The cuDNN it was built with",
        ),
    ]),
    rest: Rest::Refused,
    ordered: &[Ordered {
        low: "minCudaVersion",
        high: "maxCudaVersion",
        compare: texts::compare_versions,
    }],
    law: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::json::Tape;

    #[test]
    fn examples_are_judged_as_the_table_says() {
        for shape in TABLE {
            let judged = |text: &str| {
                let tape = Tape::parse(text.as_bytes(), "example").unwrap();
                let Ok(findings) = super::super::errors(&shape.rule, tape.root());
                tape.report("example", findings)
                    .err()
                    .map(|error| error.render())
            };
            assert!(!shape.fitting.is_empty(), "{}", shape.name);
            for text in shape.fitting {
                assert_eq!(judged(text), None, "{}: {text}", shape.name);
            }
            assert!(
                !shape.refused.is_empty() || matches!(shape.rule, Rule::Anything),
                "{}",
                shape.name
            );
            for text in shape.refused {
                assert!(judged(text).is_some(), "{}: {text}", shape.name);
            }
        }
    }

    #[test]
    fn names_are_words_in_camel_case_and_each_is_there_once() {
        let mut names: Vec<_> = TABLE.iter().map(|shape| shape.name).collect();
        for name in &names {
            let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric());
            assert!(is_word, "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
