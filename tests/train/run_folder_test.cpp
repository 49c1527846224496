// The folder of a run: its lock, and what becomes of an earlier run there.
#include "muonlab/train/run_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "muonlab/core/files.h"
#include "tests/support/expect_error.h"
#include "tests/train/tiny_run.h"

namespace muonlab::train {
namespace {

// A process that holds a run folder's lock; only system calls after fork().
class Holder {
 public:
  explicit Holder(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const std::string name = (folder / ".lock").string();
    int ready[2];
    if (::pipe(ready) != 0) ADD_FAILURE() << "no pipe";
    pid_ = ::fork();
    if (pid_ == 0) {
      const int lock = ::open(name.c_str(), O_RDWR | O_CREAT, 0644);
      if (::flock(lock, LOCK_EX) != 0 || ::write(ready[1], "x", 1) != 1)
        ::_exit(1);
      for (;;) ::pause();
    }
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { end(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

TEST(RunFolder, IsRefusedWhileAnotherProcessTrainsThere) {
  const testing::TemporaryFolder folder;
  const Holder holder(folder / "run");
  testing::expect_error(ErrorKind::kIo,
                        {(folder / "run").string(), "another process", "--out"},
                        [&] { const RunFolder second(folder / "run"); });
}

TEST(RunFolder, WaitsForAProcessThatIsAboutToEnd) {
  const testing::TemporaryFolder folder;
  Holder holder(folder / "run");
  std::thread ender([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    holder.end();
  });
  const auto begin = std::chrono::steady_clock::now();
  const RunFolder second(folder / "run");
  EXPECT_GE(std::chrono::steady_clock::now() - begin,
            std::chrono::milliseconds(200));
  ender.join();
}

class EarlierRunTest : public ::testing::Test {
 protected:
  EarlierRunTest() : path_(folder_ / "run") {
    for (const char* name : {"summary.json", "model.safetensors",
                             "metrics.jsonl", "config.toml"}) {
      testing::write(path_ / name, "old");
    }
    resolve(config_);
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_;
  RunConfig config_ = tiny_config();
};

TEST_F(EarlierRunTest, IsOutOfTheWayOnceANewOneBegins) {
  RunFolder run(path_);
  run.begin(config_, {});
  EXPECT_FALSE(std::filesystem::exists(run.summary_path()));
  EXPECT_FALSE(std::filesystem::exists(run.weights_path()));
  EXPECT_EQ(core::read_file(path_ / "metrics.jsonl"), "");
  EXPECT_FALSE(run.earlier().has_value());
}

TEST_F(EarlierRunTest, ComesBackWhenTheNewOneLeavesNoSummary) {
  {
    RunFolder run(path_);
    run.begin(config_, {});
    run.metric({{"t", "start"}});
  }
  for (const char* name :
       {"summary.json", "model.safetensors", "metrics.jsonl", "config.toml"}) {
    EXPECT_EQ(core::read_file(path_ / name), "old") << name;
  }
  EXPECT_FALSE(std::filesystem::exists(path_ / "replaced"));
}

TEST_F(EarlierRunTest, SurvivesAKilledAttempt) {
  // What a kill leaves: the earlier run aside, a few new files, no summary.
  std::filesystem::create_directories(path_ / "replaced");
  for (const char* name : {"summary.json", "model.safetensors"}) {
    std::filesystem::rename(path_ / name, path_ / "replaced" / name);
  }
  {
    RunFolder(path_).begin(config_, {});
  }
  EXPECT_EQ(core::read_file(path_ / "summary.json"), "old");
  EXPECT_EQ(core::read_file(path_ / "model.safetensors"), "old");
}

TEST_F(EarlierRunTest, ComesBackWhenTheNewOneWasInterrupted) {
  RunSummary summary;
  summary.status = "done";
  summary.identity = "old";
  write_summary(path_ / "summary.json", summary);
  {
    RunFolder run(path_);
    run.begin(config_, {});
    summary.status = "interrupted";
    summary.identity = "new";
    write_summary(run.summary_path(), summary);
  }
  EXPECT_EQ(read_summary(path_ / "summary.json").identity, "old");
  EXPECT_EQ(core::read_file(path_ / "model.safetensors"), "old");
}

TEST_F(EarlierRunTest, IsDroppedWhenTheNewOneIsWhole) {
  {
    RunFolder run(path_);
    run.begin(config_, {});
    RunSummary summary;
    summary.status = "done";
    write_summary(run.summary_path(), summary);
  }
  EXPECT_NE(core::read_file(path_ / "summary.json"), "old");
  EXPECT_FALSE(std::filesystem::exists(path_ / "replaced"));
  EXPECT_FALSE(std::filesystem::exists(path_ / "model.safetensors"));
}

}  // namespace
}  // namespace muonlab::train
