// What one image of a round has: an object of the image, objects of threads, exceptions through it, something for its exit, a thread.

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

// Counters of the program, which outlive all images.
extern "C" long constructed, destroyed, made, unmade, left;

static void count(long &counter) { __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST); }

struct Global {
  std::string text = "made when the image starts, and too long for a short string";
  Global() {
    count(constructed);
    std::atexit([] { count(left); });
  }
  ~Global() { count(destroyed); }
};
static Global global;

struct Own {
  int sum = 1;
  Own() { count(made); }
  ~Own() { count(unmade); }
};
static thread_local Own own;

static int __attribute__((noinline)) fails(int n) {
  std::string on_the_stack(100, 'x');
  if (n % 2) throw std::runtime_error(global.text);
  throw n;
}

extern "C" int play(int n) {
  own.sum += n;
  int caught = 0;
  try {
    fails(n);
  } catch (const std::runtime_error &error) {
    caught = static_cast<int>(error.what()[0]);
  } catch (int number) {
    caught = number;
  }
  int there = 0;
  std::thread([&] { there = (own.sum += 2 * n); }).join();
  return own.sum * 1000000 + there * 1000 + caught;
}

// Leaves the image, and the call.
extern "C" int leaves(int n) { return fails(n); }
