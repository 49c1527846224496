#include "muonlab/study/process_pool.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

#include "muonlab/core/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

// The pool starts /proc/self/exe, which is this test program: with the variable
// below it does what the variable says and ends before any test.
namespace muonlab::study {
namespace {

using testing::TemporaryFolder;

constexpr const char* kPart = "MUONLAB_POOL_CHILD";
constexpr auto kPatience = std::chrono::seconds(30);

void print_arguments_and_environment() {
  std::string command = core::read_file("/proc/self/cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  std::printf("command %s\n", command.c_str());
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::printf("env %s\n", *entry);
  }
  std::fprintf(stderr, "to stderr\n");
  std::fflush(stdout);
  std::_Exit(std::getchar() == EOF ? 0 : 1);  // stdin is /dev/null
}

bool play_part() {
  const char* part = std::getenv(kPart);
  if (part == nullptr) return false;
  const std::string name = part;
  if (name == "print") print_arguments_and_environment();
  if (name == "exit") std::_Exit(5);
  if (name == "kill") ::raise(SIGKILL);
  std::this_thread::sleep_for(2 * kPatience);
  std::_Exit(0);
}

[[maybe_unused]] const bool g_played = play_part();

class ProcessPoolTest : public ::testing::Test {
 protected:
  // Starts a child that plays the part.
  void start(ProcessPool& pool, const char* part, std::size_t ticket) const {
    ::setenv(kPart, part, 1);
    pool.start({.ticket = ticket,
                .arguments = {"one", "two words"},
                .output = folder_ / ("output" + std::to_string(ticket))});
    ::unsetenv(kPart);
  }

  // Waits for all children: exit code by ticket.
  static std::map<std::size_t, int> wait(ProcessPool& pool) {
    std::map<std::size_t, int> codes;
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (pool.running() > 0 && std::chrono::steady_clock::now() < end) {
      if (const auto ended = pool.poll()) {
        codes[ended->ticket] = ended->exit_code;
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
    EXPECT_EQ(pool.running(), 0U) << "children that did not end";
    return codes;
  }

  TemporaryFolder folder_;
};

TEST_F(ProcessPoolTest, TellsExitCodesAndSignalsApart) {
  ProcessPool pool;
  start(pool, "exit", 1);
  start(pool, "kill", 2);
  start(pool, "print", 3);
  EXPECT_EQ(pool.running(), 3U);
  const std::map<std::size_t, int> expected = {
      {1, 5}, {2, 128 + SIGKILL}, {3, 0}};
  EXPECT_EQ(wait(pool), expected);
}

TEST_F(ProcessPoolTest, PollDoesNotWait) {
  ProcessPool pool;
  EXPECT_FALSE(pool.poll().has_value());
  start(pool, "sleep", 1);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(pool.poll().has_value());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience / 2);
  EXPECT_EQ(pool.running(), 1U);
  pool.terminate();
  EXPECT_EQ(wait(pool).at(1), 128 + SIGTERM);
}

TEST_F(ProcessPoolTest, EndsItsChildrenWhenItGoes) {
  const auto begin = std::chrono::steady_clock::now();
  {
    ProcessPool pool;
    start(pool, "sleep", 1);
    start(pool, "sleep", 2);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience);
}

TEST_F(ProcessPoolTest, ChildrenHaveOneThreadEachAndTheRestAsItIs) {
  ::setenv("OMP_NUM_THREADS", "7", 1);
  ::setenv("MUONLAB_POOL_MARK", "a=b c", 1);
  ProcessPool pool;
  start(pool, "print", 1);
  const auto codes = wait(pool);
  ::unsetenv("OMP_NUM_THREADS");
  ::unsetenv("MUONLAB_POOL_MARK");
  EXPECT_EQ(codes.at(1), 0) << "stdin is not empty";
  const std::string text = "\n" + core::read_file(folder_ / "output1");
  for (const char* line :
       {"OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1", "OMP_WAIT_POLICY=passive",
        "MUONLAB_POOL_MARK=a=b c"}) {
    const std::string whole = std::string("\nenv ") + line + "\n";
    const auto at = text.find(whole);
    EXPECT_NE(at, std::string::npos) << line;
    EXPECT_EQ(text.find(whole, at + 1), std::string::npos) << line << " twice";
  }
  EXPECT_EQ(text.find("OMP_NUM_THREADS=7"), std::string::npos);
  EXPECT_NE(text.find("to stderr"), std::string::npos);
  EXPECT_NE(text.find("command muonlab one two words "), std::string::npos);
}

TEST_F(ProcessPoolTest, ChildrenMayHaveMoreThreads) {
  ::setenv(kPart, "print", 1);
  ProcessPool pool;
  pool.start({.ticket = 1,
              .arguments = {},
              .output = folder_ / "output1",
              .threads = 3});
  ::unsetenv(kPart);
  EXPECT_EQ(wait(pool).at(1), 0);
  const std::string text = "\n" + core::read_file(folder_ / "output1");
  EXPECT_NE(text.find("\nenv OMP_NUM_THREADS=3\n"), std::string::npos);
  EXPECT_NE(text.find("\nenv MKL_NUM_THREADS=3\n"), std::string::npos);
}

TEST_F(ProcessPoolTest, NamesAnOutputThatCannotBeMade) {
  ProcessPool pool;
  const Process process{
      .ticket = 1, .arguments = {}, .output = folder_ / "missing/output.txt"};
  testing::expect_error(ErrorKind::kIo, {"output.txt", "missing"},
                        [&] { pool.start(process); });
  EXPECT_EQ(pool.running(), 0U);
}

}  // namespace
}  // namespace muonlab::study
