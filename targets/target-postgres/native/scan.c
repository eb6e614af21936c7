/* From Singer's RECORD lines straight to the rows that COPY BINARY reads, for records that leave no question open.
 *
 * The scanner stops at the first line that it does not understand surely; the caller hands that line to the Python path, which
 * alone decides and words errors. What is taken here becomes the row that the Python path would make of it.
 */
#include "rows.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
    plan **plans;
    size_t count, capacity;
    plan *last;                     /* of the record before */
    plan **filled;                  /* by this scan, in the order of their first rows; as many places as plans */
    size_t filled_count;
} scanner;

typedef struct {
    size_t stop;    /* the first byte that was not taken */
    uint64_t lines; /* that were taken, blank ones too */
    uint64_t rows;
    size_t chunks;
} scan_result;

typedef struct {
    const byte *data;
    const uint32_t *lines;
    size_t length, rows;
    uint64_t taken; /* bytes of the rows' lines */
    int32_t number; /* of the stream */
} scan_chunk;

static plan *find_plan(scanner *s, const byte *stream, size_t length)
{
    if (s->last && s->last->stream_length == length && memcmp(s->last->stream, stream, length) == 0)
        return s->last;
    for (size_t i = 0; i < s->count; i++)
        if (s->plans[i]->stream_length == length && memcmp(s->plans[i]->stream, stream, length) == 0)
            return s->plans[i];
    return NULL;
}

/* p is at the record's brace. */
static const byte *read_record(reader *r, const byte *p, plan *to)
{
    const value *record = &to->values[0];
    member *expected = record->count ? record->first : NULL;
    for (size_t i = 0; i < record->count; i++)
        to->slots[i].form = ABSENT;
    p = skip_spaces(p + 1);
    if (*p == '}')
        return p + 1;
    for (;;) {
        if (*p++ != '"')
            return NULL;
        member *found = find_member(r, record, expected, p, &p);
        if (!found)
            return NULL;
        slot *s = &to->slots[found - record->members];
        if (s->form != ABSENT)
            return NULL;
        p = skip_spaces(p);
        if (*p++ != ':')
            return NULL;
        p = read_value(r, skip_spaces(p), found->value, found->type, 1, s);
        if (!p)
            return NULL;
        expected = found->next;
        p = skip_spaces(p);
        if (*p == '}')
            return p + 1;
        if (*p++ != ',')
            return NULL;
        p = skip_spaces(p);
    }
}

static bool is_name(const byte *p, const byte *end, const char *name)
{
    return (size_t)(end - p) == strlen(name) && memcmp(p, name, strlen(name)) == 0;
}

enum { SEEN_TYPE = 1, SEEN_STREAM = 2, SEEN_RECORD = 4, SEEN_TIME = 8, SEEN_VERSION = 16 };

/* Read one RECORD message into the slots of its stream's plan; returns what follows its closing brace. */
static const byte *read_message(scanner *s, reader *r, const byte *p, plan **to, message *into)
{
    int seen = 0;
    const byte *unread = NULL; /* a record that came before its stream's name */
    *to = NULL;
    into->extracted.form = into->version.form = IS_NULL;
    do {
        p = skip_spaces(p + 1);
        if (*p++ != '"')
            return NULL;
        const byte *name = p;
        r->escaped = false;
        const byte *quote = p = skip_string(r, p);
        if (!p || r->escaped)
            return NULL;
        p = skip_spaces(p + 1);
        if (*p++ != ':')
            return NULL;
        p = skip_spaces(p);

        int member = 0;
        if (is_name(name, quote, "type")) {
            member = SEEN_TYPE;
            p = skip_word(p, "\"RECORD\"");
        } else if (is_name(name, quote, "stream")) {
            member = SEEN_STREAM;
            const byte *stream = p + 1;
            r->escaped = false;
            p = *p == '"' ? skip_string(r, stream) : NULL;
            if (!p || r->escaped || !(*to = find_plan(s, stream, (size_t)(p - stream))))
                return NULL;
            p++;
        } else if (is_name(name, quote, "record")) {
            member = SEEN_RECORD;
            if (*p != '{')
                return NULL;
            unread = *to ? NULL : p;
            p = *to ? read_record(r, p, *to) : check_value(r, p, NULL, 0);
        } else if (is_name(name, quote, "time_extracted")) {
            member = SEEN_TIME;
            p = read_value(r, p, NULL, TIMESTAMPTZ, 1, &into->extracted);
        } else if (is_name(name, quote, "version")) {
            member = SEEN_VERSION;
            p = read_value(r, p, NULL, INT8, 1, &into->version);
        } else {
            p = check_value(r, p, NULL, 1);
        }
        if (!p || seen & member)
            return NULL;
        seen |= member;
        p = skip_spaces(p);
    } while (*p == ',');
    if (*p != '}' || (seen & (SEEN_TYPE | SEEN_STREAM | SEEN_RECORD)) != (SEEN_TYPE | SEEN_STREAM | SEEN_RECORD))
        return NULL;
    return unread && !read_record(r, unread, *to) ? NULL : p + 1;
}

static const byte *skip_blanks(const byte *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

enum { MOST_KEPT = 1 << 24 };

static void forget_rows(scanner *s)
{
    for (size_t i = 0; i < s->filled_count; i++) {
        output *o = &s->filled[i]->output;
        /* One stream's memory is used again at once; that of hundreds, or of one huge line, would stay for nothing. */
        if (s->filled[i] != s->last || o->capacity > MOST_KEPT) {
            free(o->data);
            free(o->lines);
            *o = (output){0};
        }
        o->length = o->rows = o->taken = 0;
    }
    s->filled_count = 0;
}

/* Interface */

/* Another number whenever a structure or a function that Python knows changes: a library left over from an older build is not
 * used. */
EXPORT uint32_t scan_interface(void)
{
    return 3;
}

EXPORT scanner *scan_new(void)
{
    return calloc(1, sizeof(scanner));
}

EXPORT void scan_free(scanner *s)
{
    for (size_t i = 0; i < s->count; i++)
        plan_free(s->plans[i]);
    free(s->plans);
    free(s->filled);
    free(s);
}

/* Give a stream a plan, or take it away (from is NULL). Rows of the scan before are gone. False: there is not enough memory,
 * and the stream has no plan. */
EXPORT bool scan_set(scanner *s, const char *stream, size_t length, int32_t number, const plan_description *from)
{
    forget_rows(s);
    plan *old = find_plan(s, (const byte *)stream, length);
    if (old) {
        for (size_t i = 0; i < s->count; i++)
            if (s->plans[i] == old)
                s->plans[i] = s->plans[--s->count];
        plan_free(old);
    }
    s->last = NULL;
    if (!from)
        return true;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 8;
        plan **plans = realloc(s->plans, capacity * sizeof *plans);
        if (plans)
            s->plans = plans;
        plan **filled = realloc(s->filled, capacity * sizeof *filled);
        if (filled)
            s->filled = filled;
        if (!plans || !filled)
            return false;
        s->capacity = capacity;
    }
    plan *made = plan_new(stream, length, number, from);
    if (made)
        s->plans[s->count++] = made;
    return made != NULL;
}

/* Take lines of block[start:length] until one has to be left to others, or there are enough rows. The rows stay with the
 * scanner until the next call of any function but scan_get. */
EXPORT void scan_run(scanner *s, const byte *block, size_t length, size_t start, uint64_t sequence, uint64_t rows,
                     uint64_t read_at, scan_result *result)
{
    forget_rows(s);
    *result = (scan_result){.stop = start};
    while (length > start && block[length - 1] != '\n')
        length--;
    reader r = {.end = block + length};
    const byte *p = block + start;
    while (p < r.end && result->rows < rows && result->lines < UINT32_MAX) {
        const byte *after = skip_blanks(p);
        if (*after == '{') {
            plan *to;
            message message = {
                .sequence = sequence + result->rows, .read_at = read_at, .line = (uint32_t)result->lines};
            after = read_message(s, &r, after, &to, &message);
            if (!after)
                break;
            after = skip_blanks(after);
            message.length = (size_t)(after + 1 - p);
            if (*after != '\n' || !write_row(&r, to, &message))
                break;
            if (to->output.rows == 1)
                s->filled[s->filled_count++] = to;
            s->last = to;
            result->rows++;
        } else if (*after != '\n') {
            break;
        }
        p = after + 1;
        result->lines++;
    }
    result->stop = (size_t)(p - block);
    result->chunks = s->filled_count;
}

/* One stream's rows of the last scan; number is below the result's chunks. */
EXPORT void scan_get(const scanner *s, size_t number, scan_chunk *chunk)
{
    const plan *of = s->filled[number];
    const output *o = &of->output;
    *chunk = (scan_chunk){o->data, o->lines, o->length, o->rows, o->taken, of->number};
}
