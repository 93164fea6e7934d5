/* file: writes every batch to a file, as OTLP/JSON lines or as length-prefixed protobuf.
 *
 * Happy path: consume -> encoded on the loop -> waiting -> job on a pool thread (compress, rotate,
 * write, sync) -> on_job_done -> done(OK). One job is under way at a time and takes all that waits,
 * in order, so the order of batches is the order of records.
 * OK means: handed to the kernel, so it survives weir's end; on disk after flush_interval at the
 * latest. With flush_interval 0 OK means on disk.
 * Fails: disk full, I/O error, directory gone (RETRY; the file keeps no part of the record, and
 * those behind it in the job are refused too, so that order is kept) · more than WAITING_LIMIT
 * batches wait or the memory budget refuses the encoded form (RETRY) · a batch that does not decode
 * or is larger than RECORD_LIMIT (PERMANENT) · shut down with the disk hanging (CANCELED). */
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/component.h"
#include "core/loop/timer.h"
#include "core/loop/unix_signal.h"
#include "core/loop/work.h"
#include "core/self/metrics.h"
#include "exporters/file/file_config.h"
#include "exporters/file/file_encode.h"
#include "exporters/file/file_writer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WAITING_LIMIT = 256 }; /* batches behind a slow disk; bytes are bounded by the budget */
#define RETRY_AFTER_NS NS_PER_S
/* A disk that stays full would fill the log otherwise, which may be on it. */
#define COMPLAIN_EVERY_NS (60 * NS_PER_S)

struct record {
	struct list member;
	struct buffer payload;
	size_t charged; /* to the budget */
	size_t items;
	struct done done;
	bool written; /* set by the pool thread */
};

struct file_exporter;

/* What the pool thread works with. It outlives the exporter when a hanging disk outlasts the
 * deadline of a shutdown. */
struct job {
	struct file_exporter *owner; /* NULL: abandoned; only the loop looks at it */
	struct logger log;
	struct file_writer writer;
	struct list records;
	bool reopen, sync, close;
	struct error error; /* why the records that are not written are not */
	struct error sync_error;
	atomic_bool give_up;
	char subject[96]; /* for log: the component's own may be gone */
};

struct file_exporter {
	struct component component;
	const struct file_config *config;
	struct job *job;
	bool running, started, stopping, failing;
	unsigned busy; /* calls on the stack that use the exporter */
	struct list waiting;
	size_t n_waiting; /* those in the job included */
	bool want_reopen, want_sync, want_close;
	bool dirty; /* written since the last sync */
	struct timer *flush, *deadline;
	struct unix_signal *reopen;
	struct metrics_collector *metrics;
	uint64_t complained_ns; /* when the log last told of the failure */
	uint64_t bytes, rotations, reopenings;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- on the pool */

/* Records that cannot be compressed or written stop the job, so that none overtakes another. */
static void run_job(void *arg)
{
	struct job *j = arg;
	struct record *record;

	if (j->reopen)
		file_writer_close(&j->writer);
	LIST_FOR_EACH(record, &j->records, member) {
		if (atomic_load(&j->give_up)) {
			error_set_retryable(&j->error, -ECANCELED, "shut down");
			break;
		}
		if (file_writer_append(&j->writer, buffer_slice(&record->payload), &j->error) < 0)
			break;
		record->written = true;
	}
	if (j->sync)
		file_writer_sync(&j->writer, &j->sync_error);
	if (j->close)
		file_writer_close(&j->writer);
	else if (j->reopen) /* so that who asked for it finds the new file */
		file_writer_open(&j->writer, &j->sync_error);
}

/* ---- on the loop */

static void record_free(struct record *record, struct budget *budget)
{
	budget_return(budget, record->charged);
	buffer_fini(&record->payload);
	free(record);
}

static void job_free(struct job *j)
{
	if (!j)
		return;
	file_writer_fini(&j->writer);
	free(j);
}

static void exporter_maybe_closed(struct file_exporter *e);
static void exporter_run(struct file_exporter *e);

/* wrote: only a record in the file shows that it can be written again. */
static void tell_status(struct file_exporter *e, const struct error *error, bool wrote)
{
	const struct host *host = e->component.host;

	if (error_is_set(error)) {
		uint64_t now = loop_now_ns(host->loop);
		if (!e->failing)
			host->report(host, &e->component, STATUS_RECOVERABLE_ERROR, error);
		if (!e->failing || now - e->complained_ns >= COMPLAIN_EVERY_NS) {
			log_error(&e->component.log, "%s", error->message);
			e->complained_ns = now;
		}
		e->failing = true;
	} else if (e->failing && wrote) {
		log_info(&e->component.log, "writing to %s works again", e->config->path);
		host->report(host, &e->component, STATUS_OK, NULL);
		e->failing = false;
	}
}

/* Tells the source, after the record is gone. */
static void settle(struct file_exporter *e, struct record *record, const struct outcome *outcome)
{
	struct done done = record->done;

	e->n_waiting--;
	record_free(record, e->component.host->budget);
	done_call(done, outcome);
}

/* Takes the members of from to the end of to. */
static void list_move(struct list *to, struct list *from)
{
	while (!list_is_empty(from)) {
		struct list *member = from->next;
		list_remove(member);
		list_push(to, member);
	}
}

static void settle_all(struct file_exporter *e, struct list *records, const struct error *error)
{
	struct outcome failure = {.status = OUTCOME_RETRY,
	                          .retry_after_ns = RETRY_AFTER_NS,
	                          .message = error->message};
	struct outcome ok = {.status = OUTCOME_OK};
	struct record *record;

	e->busy++;
	while ((record = LIST_FIRST(records, struct record, member))) {
		list_remove(&record->member);
		settle(e, record, record->written ? &ok : &failure);
	}
	e->busy--;
}

static void on_job_abandoned(struct job *j)
{
	struct record *record;

	/* their senders were told and their charge returned at the deadline */
	while ((record = LIST_FIRST(&j->records, struct record, member))) {
		list_remove(&record->member);
		buffer_fini(&record->payload);
		free(record);
	}
	job_free(j);
}

static void on_job_done(void *arg)
{
	struct list records = LIST_INIT(records);
	struct job *j = arg;
	struct file_exporter *e = j->owner;
	struct error error = j->error, sync_error = j->sync_error;
	struct record *record;
	bool wrote;

	if (!e) {
		on_job_abandoned(j);
		return;
	}
	list_move(&records, &j->records);
	e->running = false;
	wrote = e->bytes != j->writer.bytes;
	e->bytes = j->writer.bytes;
	e->rotations = j->writer.rotations;
	e->reopenings = j->writer.reopenings;
	e->dirty = j->writer.dirty;
	if (!e->config->flush_interval && error_is_set(&sync_error)) {
		/* OK would promise what the disk did not */
		LIST_FOR_EACH(record, &records, member)
			record->written = false;
	}
	if (error_is_set(&sync_error) && error_is_set(&error))
		log_error(&e->component.log, "%s", sync_error.message);
	if (!error_is_set(&error))
		error = sync_error;
	tell_status(e, &error, wrote);
	settle_all(e, &records, &error);
	exporter_run(e);
	exporter_maybe_closed(e);
}

/* Hands all that waits to the pool, unless a job is under way: its end calls this again. */
static void exporter_run(struct file_exporter *e)
{
	struct list records = LIST_INIT(records);
	struct error error = ERROR_INIT;
	struct job *j = e->job;

	if (e->running ||
	    (list_is_empty(&e->waiting) && !e->want_reopen && !e->want_sync && !e->want_close))
		return;
	list_move(&j->records, &e->waiting);
	j->reopen = e->want_reopen;
	j->close = e->want_close;
	j->sync = e->want_sync || !e->config->flush_interval;
	e->want_reopen = e->want_sync = e->want_close = false;
	error_clear(&j->error);
	error_clear(&j->sync_error);
	e->running = true;
	if (work_submit(e->component.host->loop, run_job, on_job_done, j) == 0)
		return;
	e->running = false;
	error_no_memory(&error);
	list_move(&records, &j->records);
	settle_all(e, &records, &error);
}

static int make_record(struct file_exporter *e, struct batch *b, struct record **ret,
                       struct error *error)
{
	struct record *record = calloc(1, sizeof *record);
	int r;

	if (!record)
		return error_no_memory(error);
	r = file_encode(b, (enum file_format)e->config->format, &record->payload, error);
	if (r == 0 && record->payload.len >= RECORD_LIMIT)
		r = error_set(error, -EMSGSIZE, "the batch is %zu bytes, more than a record may be",
		              record->payload.len);
	if (r == 0 && !budget_take(e->component.host->budget, record->payload.capacity))
		r = error_no_memory(error);
	if (r < 0) {
		buffer_fini(&record->payload);
		free(record);
		return r;
	}
	record->charged = record->payload.capacity;
	record->items = b->items;
	*ret = record;
	return 0;
}

static void file_consume(struct component *component, struct batch *b, struct done done)
{
	struct file_exporter *e = (struct file_exporter *)component;
	struct outcome refusal = {.status = OUTCOME_RETRY, .retry_after_ns = RETRY_AFTER_NS};
	struct error error = ERROR_INIT;
	struct record *record = NULL;

	if (e->stopping) {
		refusal = (struct outcome){.status = OUTCOME_CANCELED,
		                           .message = "the file exporter is shutting down"};
		goto refused;
	}
	if (!b->n_groups) {
		batch_unref(b);
		done_ok(done);
		return;
	}
	if (e->n_waiting >= WAITING_LIMIT) {
		refusal.message = "the disk does not keep up: too many batches wait for the file";
		goto refused;
	}
	if (make_record(e, b, &record, &error) < 0) {
		refusal.message = error.message;
		if (error.kind == ERROR_PERMANENT)
			refusal.status = OUTCOME_PERMANENT;
		goto refused;
	}
	batch_unref(b);
	record->done = done;
	list_push(&e->waiting, &record->member);
	e->n_waiting++;
	exporter_run(e);
	exporter_maybe_closed(e);
	return;

refused:
	batch_unref(b);
	done_call(done, &refusal);
}

static void on_flush(void *arg)
{
	struct file_exporter *e = arg;

	e->want_sync = e->dirty || e->running;
	exporter_run(e);
	exporter_maybe_closed(e);
}

static void on_reopen(void *arg, int number)
{
	struct file_exporter *e = arg;

	e->want_reopen = true;
	exporter_run(e);
	exporter_maybe_closed(e);
}

/* ---- life */

static int file_start(struct component *component, struct error *error)
{
	struct file_exporter *e = (struct file_exporter *)component;
	int r = file_writer_open(&e->job->writer, error);

	if (r < 0)
		return r;
	e->started = true;
	e->reopen = unix_signal_new(component->host->loop, SIGUSR1, on_reopen, e);
	if (!e->reopen)
		return error_no_memory(error);
	if (e->config->flush_interval)
		timer_start(e->flush, e->config->flush_interval, e->config->flush_interval);
	return 0;
}

/* The disk hangs. Senders are told now; the thread that hangs keeps what it works with. */
static void on_deadline(void *arg)
{
	struct outcome canceled = {.status = OUTCOME_CANCELED,
	                           .message = "shut down before the file was written"};
	struct file_exporter *e = arg;
	struct list told = LIST_INIT(told);
	struct job *j = e->job;
	struct record *record;
	size_t lost = 0;

	atomic_store(&j->give_up, true);
	e->busy++;
	/* The pool thread walks j->records: nothing in them is touched but what is the loop's. */
	LIST_FOR_EACH(record, &j->records, member) {
		struct done done = record->done;
		lost += record->items;
		budget_return(e->component.host->budget, record->charged);
		done_call(done, &canceled);
	}
	list_move(&told, &e->waiting);
	while ((record = LIST_FIRST(&told, struct record, member))) {
		list_remove(&record->member);
		lost += record->items;
		settle(e, record, &canceled);
	}
	e->busy--;
	log_error(&e->component.log, "writing to %s hung at shutdown: %zu items are lost",
	          e->config->path, lost);
	j->owner = NULL;
	e->job = NULL;
	e->running = false;
	exporter_maybe_closed(e);
}

static void exporter_maybe_closed(struct file_exporter *e)
{
	void (*closed)(void *arg) = e->closed;

	if (!closed || e->busy || e->running || !list_is_empty(&e->waiting))
		return;
	e->closed = NULL;
	timer_free(TAKE(e->flush));
	timer_free(TAKE(e->deadline));
	unix_signal_free(TAKE(e->reopen));
	closed(e->closed_arg);
}

static void file_shutdown(struct component *component, uint64_t deadline_ns,
                          void (*closed)(void *arg), void *arg)
{
	struct file_exporter *e = (struct file_exporter *)component;
	uint64_t now = loop_now_ns(component->host->loop);

	e->stopping = true;
	e->closed = closed;
	e->closed_arg = arg;
	timer_stop(e->flush);
	if (e->started) {
		e->want_sync = e->want_close = true;
		timer_start(e->deadline, deadline_ns > now ? deadline_ns - now : 0, 0);
		exporter_run(e);
	}
	exporter_maybe_closed(e);
}

static void file_destroy(struct component *component)
{
	struct file_exporter *e = (struct file_exporter *)component;

	if (!e)
		return;
	metrics_unregister(component->host->metrics, e->metrics);
	timer_free(e->flush);
	timer_free(e->deadline);
	unix_signal_free(e->reopen);
	job_free(e->job);
	free(e);
}

/* What was sent and what failed is counted by the graph. */
static void file_collect(void *arg, struct metrics_sink *sink)
{
	const struct file_exporter *e = arg;
	const struct metrics_label *labels = METRICS_LABELS({"exporter", e->component.id});

	metrics_counter(sink, "weir_exporter_file_written_bytes", "Bytes written to the file.",
	                labels, (double)e->bytes);
	metrics_counter(sink, "weir_exporter_file_rotations", "Files begun because one was full.",
	                labels, (double)e->rotations);
	metrics_counter(sink, "weir_exporter_file_reopenings",
	                "Files begun because the old one was removed or renamed.", labels,
	                (double)e->reopenings);
	metrics_gauge(sink, "weir_exporter_file_waiting_batches",
	              "Batches that wait for the disk (at most 256).", labels,
	              (double)e->n_waiting);
}

extern const struct component_type exporter_file_type;

static int file_create(const struct create_args *args, struct component **ret, struct error *error)
{
	struct file_exporter *e = calloc(1, sizeof *e);
	struct file_writer_config config;

	if (!e)
		return error_no_memory(error);
	component_init(&e->component, &exporter_file_type, args);
	e->config = args->config;
	list_init(&e->waiting);
	e->job = calloc(1, sizeof *e->job);
	if (!e->job)
		goto no_memory;
	e->job->owner = e;
	memcpy(e->job->subject, e->component.subject, sizeof e->job->subject);
	e->job->log = (struct logger){.sink = args->host->log, .subject = e->job->subject};
	list_init(&e->job->records);
	config = file_config_writer(e->config);
	file_writer_init(&e->job->writer, &config, &e->job->log);
	e->flush = timer_new(args->host->loop, on_flush, e);
	e->deadline = timer_new(args->host->loop, on_deadline, e);
	e->metrics = metrics_register(args->host->metrics, file_collect, e);
	if (!e->flush || !e->deadline || !e->metrics)
		goto no_memory;
	*ret = &e->component;
	return 0;

no_memory:
	file_destroy(&e->component);
	return error_no_memory(error);
}

const struct component_type exporter_file_type = {
	.name = "file",
	.kind = EXPORTER,
	.signals = SIGNAL_ALL,
	.caps = CAP_SHARED,
	.summary = "Writes OTLP/JSON lines or length-prefixed protobuf to a file.",
	.stability = "alpha",
	.config_size = sizeof(struct file_config),
	.options = file_options,
	.check = file_check,
	.create = file_create,
	.start = file_start,
	.consume = file_consume,
	.shutdown = file_shutdown,
	.destroy = file_destroy,
};
