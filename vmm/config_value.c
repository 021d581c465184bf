/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Texts -> numbers, sizes, UUIDs and list items; and the form of a refusal. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "vmm/config_option.h"
#include "vmm/log.h"

#define QUOTE_MAX 81 /* bytes of a user's text in a message, with the NUL */

/* Value of a hexadecimal digit, or 16. */
static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 16;
}

/* Reads digits from *@text on and leaves it behind them. */
static int parse_digits(const char **text, unsigned int base, uint64_t *number)
{
	const char *at = *text;
	uint64_t sum = 0;

	if (digit_value(*at) >= base)
		return -EINVAL;
	for (; digit_value(*at) < base; at++) {
		if (__builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)digit_value(*at), &sum))
			return -ERANGE;
	}
	*text = at;
	*number = sum;
	return 0;
}

static int parse_whole(const char *text, unsigned int base, uint64_t *number)
{
	const int err = parse_digits(&text, base, number);

	if (err)
		return err;
	return *text == '\0' ? 0 : -EINVAL;
}

int config_parse_number(const char *text, uint64_t *number)
{
	return parse_whole(text, 10, number);
}

int config_parse_code(const char *text, uint64_t *number)
{
	if (text[0] == '0' && text[1] == 'x')
		return parse_whole(text + 2, 16, number);
	return parse_whole(text, 10, number);
}

int config_parse_uuid(const char *text, uint8_t uuid[CONFIG_GROUP_SIZE])
{
	for (size_t i = 0; i < CONFIG_GROUP_SIZE; i++) {
		unsigned int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return -EINVAL;
		high = digit_value(text[0]);
		if (high > 15)
			return -EINVAL;
		low = digit_value(text[1]);
		if (low > 15)
			return -EINVAL;
		uuid[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0' ? 0 : -EINVAL;
}

const char *config_parse_transport(const char *text, enum machine_transport *transport)
{
	if (strcmp(text, "mmio") == 0)
		*transport = MACHINE_TRANSPORT_MMIO;
	else if (strcmp(text, "pci") == 0)
		*transport = MACHINE_TRANSPORT_PCI;
	else
		return "expected mmio or pci";
	return NULL;
}

int config_parse_size(const char *text, uint64_t *bytes)
{
	static const struct {
		char suffix;
		uint64_t unit;
	} units[] = { { 'K', 1ull << 10 }, { 'M', 1ull << 20 }, { 'G', 1ull << 30 } };
	uint64_t unit = 1;
	uint64_t number;
	const int err = parse_digits(&text, 10, &number);

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (*text == units[i].suffix) {
			unit = units[i].unit;
			text++;
			break;
		}
	}
	if (*text != '\0')
		return -EINVAL;
	return __builtin_mul_overflow(number, unit, bytes) ? -ERANGE : 0;
}

const char *config_number_problem(int err)
{
	return err == -ERANGE ? "too large" : "expected a decimal number";
}

const char *config_size_problem(int err)
{
	return err == -ERANGE ? "too large" : "expected a decimal number, with K, M or G";
}

int config_next_item(const char **rest, char *item, size_t size)
{
	const char *at = *rest;
	size_t len = 0;

	if (!at)
		return 0;
	for (; *at != '\0'; at++) {
		if (at[0] == ',' && *++at != ',') {
			item[len] = '\0';
			*rest = at;
			return 1;
		}
		if (len + 1 >= size)
			return -E2BIG;
		item[len++] = *at;
	}
	item[len] = '\0';
	*rest = NULL;
	return 1;
}

enum config_result config_refuse(const struct config_parser *parser, const char *value,
				 const char *why, ...)
{
	char quote[QUOTE_MAX] = "\"\"";
	va_list args;

	fprintf(parser->err, "minivmm: --%s: ", parser->option->name);
	if (value && *value != '\0')
		log_escape(quote, sizeof(quote), value, strlen(value));
	if (value)
		fprintf(parser->err, "%s: ", quote);
	va_start(args, why);
	vfprintf(parser->err, why, args);
	va_end(args);
	fputc('\n', parser->err);
	return CONFIG_ERROR;
}

enum config_result config_refuse_word(const struct config_parser *parser, const char *word,
				      size_t len, const char *why)
{
	char quote[QUOTE_MAX] = "\"\"";

	if (len > 0)
		log_escape(quote, sizeof(quote), word, len);
	fprintf(parser->err, "minivmm: %s: %s: see --help\n", quote, why);
	return CONFIG_ERROR;
}
