// Several processes after the same claims, some of them killed. The kernel is
// the judge: every holder also locks a file (flock) that the kernel lets go of
// when the process ends, so an overlap of two holders cannot pass unseen.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/study/claim.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::study {
namespace {

using testing::TemporaryFolder;

constexpr int kCells = 50;
constexpr int kWorkers = 6;
constexpr auto kWork = std::chrono::milliseconds(4);
constexpr auto kPatience = std::chrono::seconds(60);

// One line by one write to a file opened with O_APPEND: lines keep the order in
// which they were written, whoever wrote them.
void log_line(const std::filesystem::path& path, const std::string& line) {
  const int file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string text = line + "\n";
  if (::write(file, text.data(), text.size()) < 0) ::_exit(3);
  ::close(file);
}

void work_on(const std::filesystem::path& base, int cell, const Claim& claim) {
  const auto folder = base / std::to_string(cell);
  const auto log = base / "log";
  const std::string tail = concat(" ", cell, " ", ::getpid());
  const int lock =
      ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) log_line(log, "overlap" + tail);
  log_line(log, "start" + tail);
  if (!claim.taken_over().empty()) log_line(log, "takeover" + tail);
  std::this_thread::sleep_for(kWork);
  if (!claim.held()) log_line(log, "lost" + tail);
  log_line(log, "end" + tail);
  testing::write(folder / "done", "");
  ::close(lock);
}

// Ends when every cell is done.
[[noreturn]] void worker(const std::filesystem::path& base) {
  try {
    for (bool open = true; open;) {
      open = false;
      for (int cell = 0; cell < kCells; ++cell) {
        const auto folder = base / std::to_string(cell);
        if (std::filesystem::exists(folder / "done")) continue;
        open = true;
        auto claim = Claim::take(folder);
        if (!claim || std::filesystem::exists(folder / "done")) continue;
        work_on(base, cell, *claim);
        if (!claim->release()) {
          log_line(base / "log", concat("lost ", cell, " ", ::getpid()));
        }
      }
    }
  } catch (const std::exception& error) {
    log_line(base / "log", concat("fault 0 ", ::getpid(), " ", error.what()));
    ::_exit(1);
  }
  ::_exit(0);
}

pid_t start_worker(const std::filesystem::path& base) {
  const pid_t pid = ::fork();
  if (pid == 0) worker(base);
  return pid;
}

// Kills workers at random moments, and starts others in their place.
void kill_some(const std::filesystem::path& base, std::vector<pid_t>& workers,
               int kills) {
  std::mt19937 random(20260131);
  for (int i = 0; i < kills; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 12000));
    pid_t& victim = workers[random() % workers.size()];
    log_line(base / "log", concat("kill 0 ", victim));
    ::kill(victim, SIGKILL);
    // Every other one stays a zombie for a while, as children of a busy
    // parent do.
    if (i % 2 == 0) ::waitpid(victim, nullptr, 0);
    victim = start_worker(base);
  }
}

struct Seen {
  std::map<int, pid_t> holder;    // of a cell, from its start to its end
  std::map<int, pid_t> finisher;  // of a cell that has ended
  std::set<pid_t> killed;
  int takeovers = 0;
};

void check_start(const Seen& seen, int cell, const std::string& line) {
  for (const auto* who : {&seen.holder, &seen.finisher}) {
    const auto before = who->find(cell);
    EXPECT_TRUE(before == who->end() || seen.killed.count(before->second) != 0)
        << line << ", though held or done by " << before->second;
  }
}

// Cells are held by one at a time and worked on once: a start is allowed when
// nobody came before, or when who did was killed. Returns the takeovers.
int check_log(const std::filesystem::path& base) {
  Seen seen;
  std::istringstream lines(core::read_file(base / "log"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string what;
    int cell = 0;
    pid_t pid = 0;
    words >> what >> cell >> pid;
    if (what == "kill") {
      seen.killed.insert(pid);
    } else if (what == "takeover") {
      ++seen.takeovers;
    } else if (what == "start") {
      check_start(seen, cell, line);
      seen.holder[cell] = pid;
    } else {
      EXPECT_EQ(what, "end") << line;
      EXPECT_EQ(seen.holder[cell], pid) << line;
      seen.holder.erase(cell);
      seen.finisher[cell] = pid;
    }
  }
  EXPECT_EQ(seen.finisher.size(), static_cast<std::size_t>(kCells));
  return seen.takeovers;
}

// All children, killed ones that nobody has waited for yet among them.
void wait_for_all(const std::vector<pid_t>& workers) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
    if (pid < 0) return;
    if (pid > 0) continue;
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "workers that do not end";
      for (const pid_t worker : workers) ::kill(worker, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST(ClaimRace, EachCellIsHeldByOneAndNothingIsLost) {
  const TemporaryFolder base;
  std::vector<pid_t> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(start_worker(base.path()));
  }
  wait_for_all(workers);
  EXPECT_EQ(check_log(base.path()), 0);
}

TEST(ClaimRace, KilledOwnersAreTakenOver) {
  const TemporaryFolder base;
  std::vector<pid_t> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(start_worker(base.path()));
  }
  kill_some(base.path(), workers, 12);
  wait_for_all(workers);
  EXPECT_GT(check_log(base.path()), 0);
}

// Contenders that start together by a pipe, report 1 for a claim and 0 for
// none, and keep what they have until the test has counted.
class Contenders {
 public:
  static constexpr int kCount = 4;

  explicit Contenders(const std::filesystem::path& folder) {
    for (auto* ends : {&go_, &results_, &stop_}) {
      if (::pipe2(ends->data(), O_CLOEXEC) != 0) throw std::bad_alloc();
    }
    for (pid_t& pid : pids_) {
      pid = ::fork();
      if (pid == 0) contend(folder);
    }
    ::close(go_[0]);
    ::close(results_[1]);
    ::close(stop_[0]);
  }

  ~Contenders() {
    ::close(results_[0]);
    ::close(stop_[1]);
    for (const pid_t pid : pids_) ::waitpid(pid, nullptr, 0);
  }

  int winners() {
    ::close(go_[1]);
    int count = 0;
    for (int i = 0; i < kCount; ++i) {
      char won = 0;
      EXPECT_EQ(::read(results_[0], &won, 1), 1) << "a contender failed";
      count += won;
    }
    return count;
  }

 private:
  [[noreturn]] void contend(const std::filesystem::path& folder) {
    ::close(go_[1]);
    ::close(stop_[1]);
    char byte = 0;
    (void)!::read(go_[0], &byte, 1);
    try {
      const auto claim = Claim::take(folder);
      byte = claim ? 1 : 0;
      (void)!::write(results_[1], &byte, 1);
      (void)!::read(stop_[0], &byte, 1);
    } catch (const std::exception&) {
    }
    ::_exit(0);
  }

  std::array<int, 2> go_{};
  std::array<int, 2> results_{};
  std::array<int, 2> stop_{};
  std::array<pid_t, kCount> pids_{};
};

TEST(ClaimRace, OneContenderTakesOverFromTheDead) {
  for (int repetition = 0; repetition < 100; ++repetition) {
    const TemporaryFolder base;
    const pid_t owner = ::fork();
    if (owner == 0) {
      const auto claim = Claim::take(base.path());
      ::raise(SIGKILL);
    }
    ::waitpid(owner, nullptr, 0);
    ASSERT_EQ(Contenders(base.path()).winners(), 1) << repetition;
  }
}

TEST(ClaimRace, OneContenderTakesOverWhatHasExpired) {
  for (int repetition = 0; repetition < 100; ++repetition) {
    const TemporaryFolder base;
    const auto file = base / "claims/1.json";
    {
      const auto claim = Claim::take(base.path());
      auto json = nlohmann::ordered_json::parse(core::read_file(file));
      json["boot"] = "elsewhere";
      testing::write(file, json.dump());
    }
    std::filesystem::remove(base / "claims/2.json");  // its release
    const struct timespec past[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), past, 0), 0);
    ASSERT_EQ(Contenders(base.path()).winners(), 1) << repetition;
  }
}

TEST(ClaimRace, OneContenderTakesWhatIsFree) {
  for (int repetition = 0; repetition < 100; ++repetition) {
    const TemporaryFolder base;
    ASSERT_EQ(Contenders(base.path()).winners(), 1) << repetition;
  }
}

}  // namespace
}  // namespace muonlab::study
