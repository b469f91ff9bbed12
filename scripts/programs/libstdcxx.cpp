// The C++ library, called from one translation unit: streams, expressions, exceptions, threads, locales.

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int give(const std::string &text, char *out, unsigned room) {
  std::strncpy(out, text.c_str(), room);
  return static_cast<int>(text.size());
}

// An object of the image with a constructor and a destructor.
static std::map<std::string, int> registry{{"one", 1}, {"two", 2}};
static std::once_flag once;
static int times = 0;
static thread_local std::vector<int> own;

extern "C" int streams(char *out, unsigned room) {
  std::ostringstream text;
  text << std::setw(6) << std::setfill('*') << 42 << ' ' << std::hex << 255 << ' ' << std::fixed << std::setprecision(3) << 2.5 << ' '
       << std::boolalpha << true;
  std::istringstream input("12 3.5 word");
  int number;
  double real;
  std::string word;
  input >> std::dec >> number >> real >> word;
  text << ' ' << std::dec << number << ' ' << real << ' ' << word << ' ' << registry.at("two");
  std::cout.flush();
  std::cerr << std::flush;
  return give(text.str(), out, room);
}

extern "C" int expressions(char *out, unsigned room) {
  const std::string text = "alpha=1, beta=22; gamma=333";
  const std::regex pair("([a-z]+)=(\\d+)");
  std::string found;
  for (std::sregex_iterator it(text.begin(), text.end(), pair), end; it != end; ++it) found += (*it)[2].str() + (*it)[1].str() + " ";
  return give(found + std::regex_replace(text, pair, "<$1>"), out, room);
}

extern "C" int exceptions(char *out, unsigned room) {
  std::string said;
  try {
    std::vector<int>().at(3);
  } catch (const std::out_of_range &) {
    said += "out_of_range ";
  }
  try {
    (void)std::stoi("none");
  } catch (const std::invalid_argument &error) {
    said += error.what();
  }
  try {
    try {
      throw std::runtime_error("inner");
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  } catch (const std::exception &error) {
    said += std::string(" ") + error.what();
    try {
      std::rethrow_if_nested(error);
    } catch (const std::exception &inner) {
      said += std::string("/") + inner.what();
    }
  }
  try {
    std::regex broken("(");
  } catch (const std::regex_error &) {
    said += " regex_error";
  }
  try {
    std::filesystem::directory_iterator none("/does/not/exist");
  } catch (const std::filesystem::filesystem_error &error) {
    said += " " + error.code().message();
  }
  return give(said, out, room);
}

extern "C" int threads(char *out, unsigned room) {
  std::mutex lock;
  std::condition_variable ready;
  int waiting = 0;
  long sum = 0;
  std::vector<std::thread> all;
  for (int number = 0; number < 8; number++) {
    all.emplace_back([&, number] {
      own.assign(100, number);
      std::unique_lock held(lock);
      waiting++;
      ready.notify_all();
      ready.wait(held, [&] { return waiting == 8; });
      sum += std::accumulate(own.begin(), own.end(), 0L);
    });
  }
  for (auto &thread : all) thread.join();
  auto failing = std::async(std::launch::async, []() -> int { throw std::domain_error("from a thread"); });
  std::string said;
  try {
    failing.get();
  } catch (const std::domain_error &error) {
    said = error.what();
  }
  std::promise<int> promise;
  auto future = promise.get_future();
  std::thread([&] { promise.set_value_at_thread_exit(7); }).join();
  for (int again = 0; again < 3; again++) std::call_once(once, [] { times++; });
  return give(std::to_string(sum) + " " + said + " " + std::to_string(future.get()) + " " + std::to_string(times), out, room);
}

struct Commas : std::numpunct<char> {
  char do_thousands_sep() const override { return '.'; }
  char do_decimal_point() const override { return ','; }
  std::string do_grouping() const override { return "\3"; }
};

extern "C" int locales(char *out, unsigned room) {
  std::ostringstream text;
  text.imbue(std::locale(std::locale::classic(), new Commas));
  text << 1234567 << ' ' << 2.5 << ' ';
  const auto &letters = std::use_facet<std::ctype<char>>(std::locale::classic());
  text << letters.toupper('q') << letters.is(std::ctype_base::digit, '7') << ' ' << std::locale().name() << ' ';
  try {
    std::locale("no_SUCH");
  } catch (const std::runtime_error &) {
    text << "refused ";
  }
  std::tm date{};
  date.tm_year = 126, date.tm_mon = 10, date.tm_mday = 26;
  text << std::put_time(&date, "%d %b") << ' ' << std::mt19937(1)();
  return give(text.str(), out, room);
}
