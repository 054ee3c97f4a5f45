/* The contract between the Rust core of the plugin and the shim built for one Nix version.
   Knows no Nix and no C++. `bindgen` makes the Rust side of it, so there is no second copy.

   Rules, for both sides:
   1. No C++ exception and no Rust panic crosses a function of this file.
   2. A callback returns CRD_OK, or CRD_FAILED after it has parked an exception in the call. After
      CRD_FAILED the core makes no further callback and returns CRD_FAILED at once; the shim then
      throws what was parked.
   3. Values are handles into a table that the garbage collector sees, valid until the builtin returns.
   4. Text is pointer and length, not terminated, borrowed: what a callback hands out lives until the
      builtin returns; what the core hands in, until the callback returns.
   5. Everything happens on the thread that called the builtin. */
#ifndef CUDA_REDIST_ABI_H
#define CUDA_REDIST_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with every change of this file; the loader compares it before it calls anything. */
#define CRD_ABI 3u

/* One call of a builtin; owned by the shim. */
typedef struct crd_call crd_call;

/* A handle of a value in the table of the call. */
typedef uint32_t crd_value;

/* UTF-8 unless said otherwise; `ptr` may be null only when `len` is 0. */
typedef struct crd_text {
    const char *ptr;
    size_t len;
} crd_text;

enum { CRD_OK = 0, CRD_FAILED = -1 };

/* What a value is once it is forced. */
enum crd_kind {
    CRD_NULL = 0,
    CRD_BOOL,
    CRD_INT,
    CRD_FLOAT,
    CRD_STRING,
    CRD_PATH,
    CRD_LIST,
    CRD_ATTRS,
    CRD_FUNCTION,
    CRD_EXTERNAL
};

/* Which Nix error `fail` makes. */
enum crd_error {
    CRD_REJECTED = 0, /* like `throw`: `tryEval` catches it */
    CRD_FAULT = 1     /* like an error of the evaluator itself */
};

/* One attribute of a set; its value is not forced. */
typedef struct crd_attr {
    crd_text name;
    crd_value value;
} crd_attr;

/* What a forced value is. What is in a list or set is not forced. */
typedef struct crd_seen {
    int32_t kind;  /* enum crd_kind */
    size_t count;  /* bytes of a string, items of a list, attributes of a set */
    union {
        int64_t integer;        /* a boolean is 0 or 1 */
        double number;
        const char *text;
        const crd_value *items; /* in their order */
        const crd_attr *attrs;  /* in the order of their names */
    } as;
    crd_text context; /* of a string: the first store path it depends on; empty when there is none */
} crd_seen;

/* What one operation of a tape makes. */
enum crd_make {
    CRD_MAKE_NULL = 0,
    CRD_MAKE_BOOL,   /* `integer` is 0 or 1 */
    CRD_MAKE_INT,    /* `integer` */
    CRD_MAKE_FLOAT,  /* `number` */
    CRD_MAKE_STRING, /* `text`, `count` bytes, none of them NUL */
    CRD_MAKE_LIST,   /* the next `count` values are its elements */
    CRD_MAKE_ATTRS   /* the next `count` values are its attributes, their keys all different */
};

/* One value. Operations stand in the order of the text: a list or set comes before what is in it. */
typedef struct crd_op {
    uint32_t make;  /* enum crd_make */
    uint32_t key;   /* index of its name in `keys`; only read for the attributes of a set */
    uint64_t count; /* length of a string, size of a list or set */
    union {
        int64_t integer;
        double number;
        const char *text;
    } as;
} crd_op;

/* A whole value, built by one callback. Each name stands in `keys` once and is interned once. */
typedef struct crd_tape {
    const crd_text *keys;
    size_t key_count;
    const crd_op *ops; /* exactly one value */
    size_t op_count;
} crd_tape;

/* The evaluator, as the core sees it. */
typedef struct crd_host {
    /* Forces a value and says what it is. Asked again, the answer is the same, with the same handles. */
    int (*look)(crd_call *, crd_value, crd_seen *seen);
    /* Where a value was written: that of its attribute, for items that of their list. `file` is empty when that is not
       known; lines and columns count from 1. */
    int (*position)(crd_call *, crd_value, crd_text *file, uint32_t *line, uint32_t *column);
    /* The path that the user gave, as messages show it. Reads nothing. */
    int (*path_name)(crd_call *, crd_value path, crd_text *name);
    /* `builtins.import`: the value of a Nix expression in a file. */
    int (*import)(crd_call *, crd_value path, crd_value *value);
    /* `builtins.readFile`: the content (any bytes but NUL), and the first store path in its context (or empty). */
    int (*read_file)(crd_call *, crd_value path, crd_text *bytes, crd_text *context);
    /* Opens a file of any kind that the evaluator lets through, for reading, without waiting; the core closes it. `in_store` is 1 when it lies
       in the store, where files do not change. */
    int (*open_file)(crd_call *, crd_value path, int32_t *fd, int32_t *in_store);
    /* Makes the tape's value the result of the builtin. */
    int (*build)(crd_call *, const crd_tape *tape);
    /* Makes an argument the result of the builtin, as it is. */
    int (*give)(crd_call *, crd_value);
    /* Fails when the user has asked to stop. */
    int (*check_interrupt)(crd_call *);
    /* Parks an error with this text (any bytes) at the position of the call; CRD_FAILED, always. */
    int (*fail)(crd_call *, enum crd_error, crd_text message);
} crd_host;

/* One builtin: `arity` arguments in `args`. Without any it is a constant, made when it is first used. */
typedef int (*crd_function)(const crd_host *host, crd_call *call, const crd_value *args);
typedef struct crd_builtin {
    const char *name;        /* all four live for ever and end with a NUL */
    const char *const *args; /* `arity` names */
    size_t arity;
    const char *doc; /* Markdown */
    crd_function function;
} crd_builtin;

/* What the core offers. */
typedef struct crd_core {
    uint32_t abi;
    const char *version; /* of cuda-redist, NUL at its end */
    const crd_builtin *builtins;
    size_t builtin_count;
} crd_core;

/* Exported by the core: its table, which lives for ever. */
const crd_core *crd_core_describe(void);

/* Exported by a shim under the name `crd_shim_describe`. */
typedef struct crd_shim {
    uint32_t abi;
    const char *nix_version; /* the Nix it was built for, NUL at its end */
    const char *nix_build;   /* which build of that: the build id of its libnixexpr, or what the loader takes instead */
    /* Registers the builtins; null, or what went wrong (NUL at its end). */
    const char *(*add_builtins)(const crd_core *core);
} crd_shim;
typedef const crd_shim *(*crd_shim_describe_function)(void);

#ifdef __cplusplus
}
#endif
#endif
