/* Manual pages out of the help texts: `grapevine help --man [COMMAND]`.
 *
 * A help text is paragraphs parted by empty lines.  The first begins with
 * "usage:".  What is indented stands as it is; one that begins with "Exit
 * codes:" gets a section of its own. */
#include "manual.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define USAGE "usage: "
#define CODES "Exit codes: "

/* The next character of @text, given to troff so that it stands for itself;
 * behind it. */
static const char *put_character(const char *text)
{
    unsigned char c = (unsigned char)*text++;

    if (c == '\\')
        fputs("\\e", stdout);
    else if (c == '-')
        fputs("\\-", stdout);
    else if (c == '"')
        fputs("\\(dq", stdout);
    else if (c == '\'')
        fputs("\\(aq", stdout);
    else if (strncmp(text - 1, "…", strlen("…")) == 0) {
        fputs("\\&...", stdout);
        text += strlen("…") - 1;
    } else {
        putchar(c);
    }
    return text;
}

/* One line, from @text to its end; behind it. */
static const char *put_line(const char *text)
{
    if (*text == '.')
        fputs("\\&", stdout);
    while (*text != '\n' && *text != '\0')
        text = put_character(text);
    putchar('\n');
    return *text == '\n' ? text + 1 : text;
}

static void put_paragraph(const char *text, const char *end)
{
    if (*text == ' ') {
        fputs(".PP\n.EX\n", stdout);
        while (text < end)
            text = put_line(text);
        fputs(".EE\n", stdout);
        return;
    }
    if (strncmp(text, CODES, strlen(CODES)) == 0) {
        fputs(".SH EXIT STATUS\n", stdout);
        text += strlen(CODES);
        putchar(toupper((unsigned char)*text++));
    } else {
        fputs(".PP\n", stdout);
    }
    while (text < end)
        text = put_line(text);
}

static const char *paragraph_end(const char *text)
{
    const char *end = strstr(text, "\n\n");

    return end == NULL ? text + strlen(text) : end + 1;
}

static void put_paragraphs(const char *text)
{
    while (*text != '\0') {
        const char *end = paragraph_end(text);

        put_paragraph(text, end);
        text = *end == '\n' ? end + 1 : end;
    }
}

/* The lines of usage, each with its part behind "usage:". */
static const char *put_synopsis(const char *help)
{
    const char *end = paragraph_end(help);

    fputs(".SH SYNOPSIS\n.nf\n", stdout);
    for (const char *text = help; text < end;)
        text = put_line(text + strlen(USAGE));
    fputs(".fi\n", stdout);
    return *end == '\n' ? end + 1 : end;
}

static void put_title(const char *page, const char *summary)
{
    printf(".TH %s 1 \"\" \"Grapevine %s\" \"Grapevine\"\n.SH NAME\n", page,
           gv_version_string());
    for (const char *c = page; *c != '\0';)
        c = put_character(c);
    fputs(" \\- ", stdout);
    put_line(summary);
}

static void put_commands(void)
{
    fputs(".SH COMMANDS\n", stdout);
    for (const struct command *command = commands; command->name != NULL;
         command++) {
        printf(".TP\n.B %s\n", command->name);
        put_line(command->summary);
    }
}

static void put_see_also(void)
{
    const char *between = "";

    fputs(".SH SEE ALSO\n", stdout);
    for (const struct command *command = commands; command->name != NULL;
         command++) {
        printf("%s.BR grapevine\\-%s (1)", between, command->name);
        between = ",\n";
    }
    putchar('\n');
}

void manual_print(void)
{
    const char *text = strstr(help_intro, "\n\n") + 2;

    put_title("grapevine", "sync a SQLite file with its copies, peer to peer");
    put_synopsis(text);
    fputs(".SH DESCRIPTION\n", stdout);
    put_paragraph(help_intro, paragraph_end(help_intro));
    put_commands();
    fputs(".SH EXAMPLES\n", stdout);
    put_paragraphs(help_outro + 1);
    put_see_also();
}

void manual_print_command(const struct command *command)
{
    char page[64];
    const char *text;

    snprintf(page, sizeof page, "grapevine-%s", command->name);
    put_title(page, command->summary);
    text = put_synopsis(command->help);
    fputs(".SH DESCRIPTION\n", stdout);
    put_paragraphs(text);
    fputs(".SH SEE ALSO\n.BR grapevine (1)\n", stdout);
}
