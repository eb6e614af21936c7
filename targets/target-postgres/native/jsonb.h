/* Writing a document that was checked before for a column of the type jsonb.
 *
 * Postgres keeps the members of an object in the order of their names' lengths, then of their bytes. It sorts them itself, but
 * members that are in order already cost it a quarter less for the whole document, and the server is what a load waits for.
 */
#ifndef JSONB_H
#define JSONB_H

#include "bytes.h"
#include "json.h"

/* Objects of more members are written as they are: sorting by insertion would take long. */
enum { MOST_SORTED = 32 };

typedef struct {
    const byte *name;  /* its opening quote */
    const byte *value; /* the colon before it */
    const byte *end;
} entry;

/* p is at the opening quote; returns what follows the closing one. */
static const byte *behind_string(const byte *p)
{
    for (p++; *p != '"'; p++)
        p += *p == '\\';
    return p + 1;
}

static const byte *behind_value(const byte *p)
{
    int open = 0;
    do {
        switch (*p) {
        case '"':
            p = behind_string(p);
            continue;
        case '{': case '[':
            open++;
            break;
        case '}': case ']':
            open--;
            break;
        default: /* a number or a word, or what stands between values */
            if (!open) {
                while (*p != ',' && *p != '}' && *p != ']' && *p != ' ')
                    p++;
                return p;
            }
        }
        p++;
    } while (open);
    return p;
}

static bool belongs_before(const entry *one, const entry *other)
{
    ptrdiff_t length = one->value - one->name, longer = length - (other->value - other->name);
    return longer ? longer < 0 : memcmp(one->name, other->name, (size_t)length) < 0;
}

/* p is at the brace. The members in order, those of one name as they came, for the last of them counts; 0: there are too many,
 * or a name is not spelled as Postgres reads it. */
static size_t sort_members(const byte *p, entry *sorted)
{
    size_t count = 0;
    for (p = skip_spaces(p + 1); *p != '}'; count++) {
        entry found = {.name = p};
        p = behind_string(p);
        if (count == MOST_SORTED || memchr(found.name, '\\', (size_t)(p - found.name)))
            return 0;
        found.value = p;
        p = skip_spaces(skip_spaces(p) + 1);
        found.end = p = behind_value(p);
        size_t place = count;
        for (; place && belongs_before(&found, &sorted[place - 1]); place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = found;
        p = skip_spaces(p);
        p = *p == ',' ? skip_spaces(p + 1) : p;
    }
    return count;
}

static byte *write_jsonb(byte *out, const byte *p, const byte *end);

static byte *write_object(byte *out, const byte *p, const byte *end)
{
    entry sorted[MOST_SORTED];
    size_t count = sort_members(p, sorted);
    if (!count)
        return write_bytes(out, p, (size_t)(end - p));
    for (size_t i = 0; i < count; i++) {
        const byte *value = skip_spaces(skip_spaces(sorted[i].value) + 1);
        *out++ = i ? ',' : '{';
        out = write_bytes(out, sorted[i].name, (size_t)(sorted[i].value - sorted[i].name));
        *out++ = ':';
        out = write_jsonb(out, value, sorted[i].end);
    }
    *out++ = '}';
    return out;
}

static byte *write_array(byte *out, const byte *p)
{
    do {
        *out++ = *p;
        p = skip_spaces(p + 1);
        if (*p == ']') /* only of one that is empty */
            break;
        const byte *after = behind_value(p);
        out = write_jsonb(out, p, after);
        p = skip_spaces(after);
    } while (*p == ',');
    *out++ = ']';
    return out;
}

/* The value that ends at end; never longer than it was. */
static byte *write_jsonb(byte *out, const byte *p, const byte *end)
{
    switch (*p) {
    case '{':
        return write_object(out, p, end);
    case '[':
        return write_array(out, p);
    default:
        return write_bytes(out, p, (size_t)(end - p));
    }
}

#endif
