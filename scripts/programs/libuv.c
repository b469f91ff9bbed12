/* libuv: a loop of its own with timers, work in threads, files, and a server that a client of the same loop talks to. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static int ticks, worked, idle_rounds, received;
static char echoed[64];
static uv_timer_t timer;
static uv_idle_t idle;
static uv_async_t async;
static uv_tcp_t server, client, peer;
static uv_connect_t connecting;
static uv_write_t asking, answering;
static uv_work_t work[4];
static uv_buf_t line;
static char room[64];

static void on_tick(uv_timer_t *handle) {
  if (++ticks == 3) uv_close((uv_handle_t *)handle, 0);
}
static void on_idle(uv_idle_t *handle) {
  if (++idle_rounds == 5) uv_close((uv_handle_t *)handle, 0);
}
static void on_async(uv_async_t *handle) { uv_close((uv_handle_t *)handle, 0); }
static void in_thread(uv_work_t *request) {
  long sum = 0;
  for (long i = 0; i <= 1000; i++) sum += i;
  request->data = (void *)sum;
}
static void after_thread(uv_work_t *request, int status) {
  if (status == 0) worked += (int)(long)request->data;
  if (request == &work[3]) uv_async_send(&async);
}
static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer) { *buffer = uv_buf_init(room, sizeof room); }
static void on_answer(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
  if (size <= 0) return;
  received = (int)size;
  memcpy(echoed, buffer->base, (size_t)size);
  uv_close((uv_handle_t *)&client, 0);
  uv_close((uv_handle_t *)&peer, 0);
  uv_close((uv_handle_t *)&server, 0);
}
static void on_question(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
  if (size <= 0) return;
  line = uv_buf_init(buffer->base, (unsigned)size);
  uv_write(&answering, stream, &line, 1, 0);
}
static void on_connection(uv_stream_t *stream, int status) {
  uv_tcp_init(stream->loop, &peer);
  uv_accept(stream, (uv_stream_t *)&peer);
  uv_read_start((uv_stream_t *)&peer, on_alloc, on_question);
}
static void on_connected(uv_connect_t *request, int status) {
  static char question[] = "hello";
  uv_buf_t buffer = uv_buf_init(question, 5);
  uv_write(&asking, request->handle, &buffer, 1, 0);
  uv_read_start(request->handle, on_alloc, on_answer);
}

int run_loop(char *out, unsigned size) {
  uv_loop_t loop;
  struct sockaddr_in address;
  int length = sizeof address;
  uv_fs_t file;
  if (uv_loop_init(&loop)) return -1;
  uv_timer_init(&loop, &timer);
  uv_timer_start(&timer, on_tick, 1, 1);
  uv_idle_init(&loop, &idle);
  uv_idle_start(&idle, on_idle);
  uv_async_init(&loop, &async, on_async);
  for (int i = 0; i < 4; i++) uv_queue_work(&loop, &work[i], in_thread, after_thread);
  uv_tcp_init(&loop, &server);
  uv_ip4_addr("127.0.0.1", 0, &address);
  uv_tcp_bind(&server, (struct sockaddr *)&address, 0);
  uv_listen((uv_stream_t *)&server, 1, on_connection);
  uv_tcp_getsockname(&server, (struct sockaddr *)&address, &length);
  uv_tcp_init(&loop, &client);
  uv_tcp_connect(&connecting, &client, (struct sockaddr *)&address, on_connected);
  int opened = uv_fs_open(&loop, &file, "/proc/self/comm", O_RDONLY, 0, 0);
  uv_fs_req_cleanup(&file);
  uv_fs_close(&loop, &file, opened, 0);
  uv_fs_req_cleanup(&file);
  int left = uv_run(&loop, UV_RUN_DEFAULT);
  int closed = uv_loop_close(&loop);
  uv_library_shutdown();
  return snprintf(out, size, "%d ticks, %d worked, %d rounds, %.*s, %s, %d %d, %s", ticks, worked, idle_rounds, received, echoed,
                  opened >= 0 ? "read" : "unread", left, closed, uv_strerror(UV_ENOENT));
}
