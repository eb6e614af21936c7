/* What the scanner knows of a stream: its plan. scanner.py mirrors the structures that cross over from Python. */
#ifndef PLAN_H
#define PLAN_H

#include <stdlib.h>

#include "json.h"

enum { NULL_TYPE = 1, BOOLEAN = 2, INTEGER = 4, NUMBER = 8, STRING = 16, OBJECT = 32, ARRAY = 64 };

/* Of the column that a member is written to. */
typedef enum {
    NO_COLUMN, INT2, INT4, INT8, NUMERIC, FLOAT4, FLOAT8, TEXT, BOOL, DATE, TIMESTAMPTZ, TIME, UUID, JSON, JSONB
} column_type;

enum { NONE = -1 };

/* What a JSON value must be; the first one of a plan is the record. Numbers refer to the plan's arrays. */
typedef struct {
    int64_t minimum, maximum; /* INT64_MIN and INT64_MAX: no limit */
    int64_t max_length;       /* NONE: no limit */
    int32_t items;            /* the value that each item must be, or NONE */
    uint32_t first, count;    /* of members; for those of an object that is not in its properties there is none */
    uint8_t types;            /* which of the types above it may have */
    uint8_t closed;           /* other members are refused */
} value_description;

typedef struct {
    const char *name;
    size_t length;
    int32_t value;    /* or NONE: anything */
    uint8_t type;     /* of the column */
    uint8_t key, required;
} member_description;

typedef struct {
    const value_description *values;
    const member_description *members;
    const char *tail; /* ready fields at the end of each row */
    size_t value_count, member_count, tail_length;
    uint32_t columns; /* so many of the record's members come first, as the row's columns */
    uint32_t fields;  /* of a row, those in the tail too */
    int32_t cursor, deleted; /* members of the record, or NONE */
    uint8_t lineage, sequence;
    uint8_t stamps;   /* so many of the tail's fields, from the first on, are the time at which the record was read */
} plan_description;

typedef struct value value;

typedef struct member {
    const byte *name;    /* with the closing quote; NULL: it cannot stand in JSON without escapes, so it is not looked for */
    size_t length;       /* with the closing quote */
    const value *value;  /* or NULL: anything */
    struct member *next; /* the member that followed it last time */
    uint64_t required;   /* its bit among the required members of a nested object */
    column_type type;
    bool key, is_required;
} member;

struct value {
    int64_t minimum, maximum, max_length;
    const value *items;
    member *members, *first; /* first: the one that stood first last time */
    member **table;          /* members by the hash of their names, table_mask + 1 places, at least half of them empty */
    size_t count, table_mask;
    uint64_t required;
    uint8_t types;
    bool closed, limited;
};

/* One property of the record in hand: where its value is, and how it is written into the row. */
typedef enum { ABSENT, IS_NULL, FIXED, VERBATIM, UNESCAPED, VERSIONED, DIGITS, HEXADECIMAL } form;

typedef struct {
    const byte *raw;  /* the JSON value */
    const byte *text; /* what is written of it */
    size_t length;
    uint64_t bits;    /* what is written of it if that is FIXED */
    form form;
    uint8_t width;    /* in bytes, of what is FIXED */
} slot;

typedef struct {
    byte *data;
    size_t length, capacity;
    uint32_t *lines; /* for each row, how many lines after the scan's first one */
    size_t rows, lines_capacity;
    uint64_t taken; /* bytes of the lines that the rows come from */
} output;

typedef struct {
    byte *stream;
    size_t stream_length;
    value *values;
    member *members;
    member **tables;
    byte *names;
    byte *tail;
    size_t tail_length;
    slot *slots; /* one for each member of the record */
    size_t columns;
    uint32_t fields;
    const member *cursor, *deleted;
    bool lineage, sequence;
    uint8_t stamps;
    int32_t number; /* of the caller */
    output output;
} plan;

static uint32_t hash_name(const byte *name, size_t length)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ name[i]) * 16777619u;
    return hash;
}

/* The member whose name starts at p, after the opening quote, or NULL; *after: past the closing quote, or NULL: it cannot be
 * read. Members mostly come in the order of the last time; only others are looked up. */
static member *find_member(reader *r, const value *object, member *expected, const byte *p, const byte **after)
{
    if (expected && expected->name && (size_t)(r->end - p) > expected->length &&
        memcmp(p, expected->name, expected->length) == 0) {
        *after = p + expected->length;
        return expected;
    }
    bool escaped = r->escaped;
    r->escaped = false;
    const byte *quote = skip_string(r, p);
    bool plain = !r->escaped;
    r->escaped = escaped;
    *after = quote && plain ? quote + 1 : NULL;
    if (!*after || !object->count)
        return NULL;
    size_t length = (size_t)(quote + 1 - p);
    for (size_t place = hash_name(p, length);; place++) {
        member *found = object->table[place & object->table_mask];
        if (!found || (found->length == length && memcmp(found->name, p, length) == 0))
            return found;
    }
}

static void plan_free(plan *made)
{
    if (!made)
        return;
    free(made->stream);
    free(made->values);
    free(made->members);
    free(made->tables);
    free(made->names);
    free(made->tail);
    free(made->slots);
    free(made->output.data);
    free(made->output.lines);
    free(made);
}

static bool is_plain_name(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (name[i] == '"' || name[i] == '\\' || (byte)name[i] < 0x20)
            return false;
    return true;
}

static byte *copy_bytes(const char *source, size_t length)
{
    byte *copy = malloc(length + 1);
    if (copy && length)
        memcpy(copy, source, length);
    return copy;
}

static size_t table_size(size_t count)
{
    size_t size = 1;
    while (size < 2 * count + 1)
        size *= 2;
    return size;
}

static void link_members(value *object, const value_description *from, member *members, member **table)
{
    object->members = object->first = members;
    object->table = table;
    object->table_mask = table_size(object->count) - 1;
    uint64_t bit = 1;
    for (size_t i = 0; i < from->count; i++) {
        member *m = &members[i];
        m->next = &members[(i + 1) % from->count];
        if (m->is_required) {
            m->required = bit;
            object->required |= bit;
            bit <<= 1; /* plans.py allows 64 in nested objects; in the record itself slots are counted instead */
        }
        if (!m->name)
            continue;
        size_t place = hash_name(m->name, m->length);
        while (table[place & object->table_mask])
            place++;
        table[place & object->table_mask] = m;
    }
}

/* A plan of its own memory, or NULL: there is not enough. */
static plan *plan_new(const char *stream, size_t stream_length, int32_t number, const plan_description *from)
{
    size_t names = 0, places = 0;
    for (size_t i = 0; i < from->member_count; i++)
        names += from->members[i].length + 1;
    for (size_t i = 0; i < from->value_count; i++)
        places += table_size(from->values[i].count);

    plan *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->stream = copy_bytes(stream, stream_length);
    made->values = calloc(from->value_count, sizeof *made->values);
    made->members = calloc(from->member_count + 1, sizeof *made->members);
    made->tables = calloc(places, sizeof *made->tables);
    made->names = malloc(names + 1);
    made->tail = copy_bytes(from->tail, from->tail_length);
    made->slots = calloc(from->values[0].count + 1, sizeof *made->slots);
    if (!made->stream || !made->values || !made->members || !made->tables || !made->names || !made->tail || !made->slots) {
        plan_free(made);
        return NULL;
    }

    byte *name = made->names;
    for (size_t i = 0; i < from->member_count; i++) {
        const member_description *given = &from->members[i];
        member *m = &made->members[i];
        m->value = given->value == NONE ? NULL : &made->values[given->value];
        m->type = (column_type)given->type;
        m->key = given->key;
        m->is_required = given->required;
        if (!is_plain_name(given->name, given->length))
            continue;
        memcpy(name, given->name, given->length);
        name[given->length] = '"';
        m->name = name;
        m->length = given->length + 1;
        name += m->length;
    }
    member **table = made->tables;
    for (size_t i = 0; i < from->value_count; i++) {
        const value_description *given = &from->values[i];
        value *v = &made->values[i];
        v->minimum = given->minimum;
        v->maximum = given->maximum;
        v->max_length = given->max_length;
        v->limited = given->minimum != INT64_MIN || given->maximum != INT64_MAX;
        v->items = given->items == NONE ? NULL : &made->values[given->items];
        v->types = given->types;
        v->closed = given->closed;
        v->count = given->count;
        link_members(v, given, made->members + given->first, table);
        table += table_size(v->count);
    }
    made->stream_length = stream_length;
    made->tail_length = from->tail_length;
    made->stamps = from->stamps;
    made->columns = from->columns;
    made->fields = from->fields;
    made->cursor = from->cursor == NONE ? NULL : &made->members[from->cursor];
    made->deleted = from->deleted == NONE ? NULL : &made->members[from->deleted];
    made->lineage = from->lineage;
    made->sequence = from->sequence;
    made->number = number;
    return made;
}

#endif
