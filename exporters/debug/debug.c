/* debug: prints what passes, for people.
 *
 * Happy path: consume -> opened to read -> text -> written -> done(OK).
 * Fails: the bytes do not decode (PERMANENT) · no memory (RETRY) · the reader has gone or does not
 * read (PERMANENT: the batch counts as failed, and the status says so until a write succeeds). The
 * process must ignore SIGPIPE.
 *
 * There is no queue: a batch is written before consume() returns. */
#include "core/base/clock.h"
#include "core/component.h"
#include "exporters/debug/debug_output.h"
#include "exporters/debug/debug_render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct debug_config {
	int verbosity; /* enum verbosity */
	uint64_t sampling_initial, sampling_thereafter;
	bool use_internal_logger;
	struct string_list output_paths;
};

static const char *const verbosity_values[] = {"basic", "normal", "detailed", NULL};

static const struct option debug_options[] = {
	OPTION_ENUM(struct debug_config, verbosity, verbosity_values, .text = "basic",
                    .doc = "One line for each batch, one for each thing in it, or everything."),
	OPTION_UINT(struct debug_config, sampling_initial, .text = "2",
                    .doc = "Batches of each signal that are printed in every second."),
	OPTION_UINT(struct debug_config, sampling_thereafter, .text = "1",
                    .doc = "Of those beyond, every so many-th is printed: 1 is all, 0 is none."),
	OPTION_BOOL(struct debug_config, use_internal_logger, .text = "true",
                    .flags = OPTION_IGNORED,
                    .doc = "Text always goes to output_paths; weir's log is for weir."),
	OPTION_STRING_LIST(struct debug_config, output_paths, .text = "stdout",
                           .doc = "stdout, stderr or files, which are appended to."),
	OPTION_END,
};

struct debug {
	struct component component;
	const struct debug_config *config;
	struct output *outputs;
	struct buffer text;
	bool failing;

	/* sampling: this second's batches */
	uint64_t second, in_second, not_shown;
};

extern const struct component_type exporter_debug_type;

static bool is_sampled(struct debug *d)
{
	uint64_t second = clock_monotonic_ns() / NS_PER_S, beyond;

	if (second != d->second) {
		d->second = second;
		d->in_second = 0;
	}
	if (d->in_second++ < d->config->sampling_initial)
		return true;
	beyond = d->in_second - d->config->sampling_initial;
	return d->config->sampling_thereafter && beyond % d->config->sampling_thereafter == 0;
}

/* Colour is for terminals of people who did not refuse it (no-color.org). */
static bool wants_color(const struct output *o)
{
	const char *no = getenv("NO_COLOR");

	return output_is_terminal(o) && !(no && no[0]);
}

/* The text of b as this output wants it, in d->text. False: no memory. */
static bool render(struct debug *d, const struct output *o, const struct batch *b)
{
	struct render r = {
		.out = &d->text,
		.verbosity = (enum verbosity)d->config->verbosity,
		.color = wants_color(o),
		.width = output_width(o),
	};

	if (d->text.capacity > 1 << 20)
		buffer_fini(&d->text);
	buffer_clear(&d->text);
	if (d->not_shown)
		buffer_printf(&d->text, "(%" PRIu64 " batches not shown)\n", d->not_shown);
	render_batch(&r, b, clock_realtime_ns());
	return !d->text.failed;
}

static int print(struct debug *d, const struct batch *b, struct error *error)
{
	for (size_t i = 0; i < d->config->output_paths.count; i++) {
		struct output *o = &d->outputs[i];

		if (!render(d, o, b))
			return error_no_memory(error);
		output_write(o, buffer_slice(&d->text), error); /* the others are still served */
	}
	d->not_shown = 0;
	return error->code;
}

static void report(struct debug *d, const struct error *error)
{
	const struct host *host = d->component.host;
	bool failing = error_is_set(error);

	if (failing != d->failing && host->report)
		host->report(host, &d->component, failing ? STATUS_RECOVERABLE_ERROR : STATUS_OK,
		             failing ? error : NULL);
	d->failing = failing;
}

static void debug_consume(struct component *c, struct batch *b, struct done done)
{
	struct debug *d = (struct debug *)c;
	struct error error = ERROR_INIT;

	if (!is_sampled(d))
		d->not_shown++;
	else if (d->config->verbosity == VERBOSITY_BASIC || batch_read(b, &error) == 0)
		print(d, b, &error);
	batch_unref(b);
	if (error.code == -ENOMEM) {
		done_retry(done, 0, error.message);
		return;
	}
	report(d, &error);
	if (error_is_set(&error))
		done_permanent(done, error.message);
	else
		done_ok(done);
}

static void debug_destroy(struct component *c)
{
	struct debug *d = (struct debug *)c;

	if (!d)
		return;
	for (size_t i = 0; d->outputs && i < d->config->output_paths.count; i++)
		output_close(&d->outputs[i]);
	free(d->outputs);
	buffer_fini(&d->text);
	free(d);
}

static int debug_create(const struct create_args *args, struct component **ret, struct error *error)
{
	const struct debug_config *config = args->config;
	struct debug *d = calloc(1, sizeof *d);

	if (!d)
		return error_no_memory(error);
	component_init(&d->component, &exporter_debug_type, args);
	d->config = config;
	d->outputs = calloc(config->output_paths.count + 1, sizeof *d->outputs);
	if (!d->outputs) {
		debug_destroy(&d->component);
		return error_no_memory(error);
	}
	for (size_t i = 0; i < config->output_paths.count; i++)
		d->outputs[i].fd = -1;
	*ret = &d->component;
	return 0;
}

static int debug_start(struct component *c, struct error *error)
{
	struct debug *d = (struct debug *)c;

	for (size_t i = 0; i < d->config->output_paths.count; i++)
		if (output_open(&d->outputs[i], d->config->output_paths.items[i], error) < 0)
			return error_wrap(error, "%s", c->subject);
	return 0;
}

static void debug_shutdown(struct component *c, uint64_t deadline_ns, void (*closed)(void *arg),
                           void *arg)
{
	(void)c, (void)deadline_ns; /* nothing is ever in flight */
	closed(arg);
}

const struct component_type exporter_debug_type = {
	.name = "debug",
	.kind = EXPORTER,
	.signals = SIGNAL_ALL,
	.summary = "Prints what passes to the terminal, made to be read by people.",
	.stability = "development",
	.config_size = sizeof(struct debug_config),
	.options = debug_options,
	.create = debug_create,
	.start = debug_start,
	.consume = debug_consume,
	.shutdown = debug_shutdown,
	.destroy = debug_destroy,
};
