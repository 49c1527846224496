#include "muonlab/study/claim.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "muonlab/core/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::study {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using Json = nlohmann::ordered_json;

constexpr auto kPause = milliseconds(20);  // longer than a file time's step

class ClaimTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path cell() const { return folder_ / "cell"; }
  [[nodiscard]] std::filesystem::path file(int number) const {
    return cell() / "claims" / (std::to_string(number) + ".json");
  }
  [[nodiscard]] Json record(int number) const {
    return Json::parse(core::read_file(file(number)));
  }
  [[nodiscard]] std::optional<Claim> take() const {
    return Claim::take(cell(), options_);
  }

  // A claim that nobody has released, like 1.json of this process but for
  // `changes`, with its last sign of life `age` ago.
  void foreign(const Json& changes, seconds age) {
    {
      const auto own = take();
      ASSERT_TRUE(own);
    }
    Json json = record(1);
    json.update(changes);
    std::filesystem::remove(file(2));  // the release
    core::write_file(file(1), json.dump());
    make_older(file(1), age);
  }

  static void make_older(const std::filesystem::path& path, seconds age) {
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    struct timespec times[2] = {status.st_mtim, status.st_mtim};
    for (auto& time : times) time.tv_sec -= age.count();
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  TemporaryFolder folder_;
  ClaimOptions options_;
};

TEST_F(ClaimTest, IsExclusiveUntilItIsReleased) {
  auto first = take();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->taken_over(), "");
  EXPECT_TRUE(first->held());
  EXPECT_FALSE(take());
  EXPECT_TRUE(first->release());
  EXPECT_FALSE(first->held());
  EXPECT_FALSE(first->renew());
  EXPECT_FALSE(first->release()) << "a second time";
  const auto second = take();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->taken_over(), "");
  EXPECT_NE(second->token(), first->token());
}

TEST_F(ClaimTest, EndsWithItsObjectAndMovesWithIt) {
  {
    auto first = take();
    ASSERT_TRUE(first);
    Claim moved = std::move(*first);
    first.reset();
    EXPECT_FALSE(take());
    auto other = Claim::take(folder_ / "other", options_);
    ASSERT_TRUE(other);
    moved = std::move(*other);  // gives up the first
    EXPECT_TRUE(take());
    EXPECT_FALSE(Claim::take(folder_ / "other", options_));
  }
  EXPECT_TRUE(Claim::take(folder_ / "other", options_));
}

TEST_F(ClaimTest, SaysWhoHoldsAFolder) {
  EXPECT_EQ(claim_text(cell()), "");
  auto claim = take();
  ASSERT_TRUE(claim);
  EXPECT_THAT(claim_text(cell()),
              HasSubstr("process " + std::to_string(::getpid()) + " on "));
  claim.reset();
  EXPECT_EQ(claim_text(cell()), "");
}

TEST_F(ClaimTest, NamesTheProcessInItsFile) {
  const auto claim = take();
  const Json json = record(1);
  EXPECT_EQ(json["schema"], "muonlab-claim-1");
  EXPECT_EQ(json["pid"], ::getpid());
  EXPECT_EQ(json["token"], claim->token());
  EXPECT_EQ(json["expiry_ms"], 120000);
  EXPECT_EQ(json["released"], false);
}

TEST_F(ClaimTest, LeavesNoDrafts) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take());
  const auto held = take();
  EXPECT_FALSE(take());
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(cell() / "claims")) {
    EXPECT_EQ(entry.path().extension(), ".json");
    ++files;
  }
  EXPECT_EQ(files, 7);  // three claims and releases, one claim
}

TEST_F(ClaimTest, ClearsAwayDraftsOfKilledProcesses) {
  const auto old = cell() / "claims" / "draft-old";
  const auto young = cell() / "claims" / "draft-young";
  for (const auto& path : {old, young}) testing::write(path, "{");
  make_older(old, std::chrono::hours(2));
  make_older(young, seconds(600));
  EXPECT_TRUE(take());
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_TRUE(std::filesystem::exists(young));
}

TEST_F(ClaimTest, OfAnotherMachineIsHonouredUntilItExpires) {
  foreign({{"boot", "elsewhere"}, {"host", "far"}, {"pid", 7}}, seconds(60));
  EXPECT_FALSE(take());
  make_older(file(1), seconds(120));
  const auto claim = take();
  ASSERT_TRUE(claim);
  EXPECT_THAT(claim->taken_over(), HasSubstr("process 7 on far since 20"));
  EXPECT_THAT(claim->taken_over(), HasSubstr("without a sign of life for 3m"));
  EXPECT_EQ(record(1)["host"], "far") << "the list only grows";
}

TEST_F(ClaimTest, StatesItsOwnExpiry) {
  foreign({{"boot", "elsewhere"}, {"expiry_ms", 600000}}, seconds(300));
  EXPECT_FALSE(take());
  std::filesystem::remove_all(cell());
  foreign({{"boot", "elsewhere"}, {"expiry_ms", 10000}}, seconds(60));
  EXPECT_TRUE(take());
}

TEST_F(ClaimTest, OfAnotherContainerIsNotJudgedByItsPid) {
  foreign({{"pid_namespace", "pid:[1]"}, {"pid", 999999999}}, seconds(60));
  EXPECT_FALSE(take());
  make_older(file(1), seconds(120));
  EXPECT_TRUE(take());
}

TEST_F(ClaimTest, OfALivingProcessHereDoesNotExpire) {
  const auto claim = take();
  make_older(file(1), seconds(3600));
  EXPECT_FALSE(take());
  EXPECT_TRUE(claim->held());
}

TEST_F(ClaimTest, OfAProcessThatIsGoneEndsAtOnce) {
  foreign({{"pid", 999999999}}, seconds(0));
  const auto claim = take();
  ASSERT_TRUE(claim);
  EXPECT_THAT(claim->taken_over(), HasSubstr("process 999999999 on "));
  EXPECT_THAT(claim->taken_over(), HasSubstr("which is gone"));
}

TEST_F(ClaimTest, KnowsAReusedPidByItsStartTime) {
  foreign({{"start_ticks", 1}}, seconds(0));  // this process, started earlier
  EXPECT_TRUE(take());
}

TEST_F(ClaimTest, SeesAKilledProcessBeforeItIsWaitedFor) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NAME, "a) S 1 (b");  // a name that looks like fields
    const auto claim = Claim::take(cell(), options_);
    ::raise(SIGKILL);
  }
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT),
            0);
  const auto claim = take();
  ASSERT_TRUE(claim);
  EXPECT_THAT(claim->taken_over(), HasSubstr(std::to_string(child)));
  ::waitpid(child, nullptr, 0);
}

TEST_F(ClaimTest, ReadsItsOwnStartTimeWhateverTheProcessIsCalled) {
  char name[16] = {};
  ::prctl(PR_GET_NAME, name);
  ::prctl(PR_SET_NAME, "a) Z 1 (b");
  const auto claim = take();
  EXPECT_FALSE(take());
  ::prctl(PR_SET_NAME, name);
  EXPECT_FALSE(take());
}

TEST_F(ClaimTest, UnreadableFileHoldsForTheExpiryOfTheAsker) {
  for (const char* text : {"", "{\"schema\": \"muonlab-cl", "[1, 2]", "{}"}) {
    const TemporaryFolder place;
    const auto path = place / "claims/1.json";
    testing::write(path, text);
    EXPECT_FALSE(Claim::take(place.path())) << text;
    EXPECT_THAT(claim_text(place.path()), HasSubstr("cannot be read"));
    make_older(path, seconds(180));
    const auto claim = Claim::take(place.path());
    ASSERT_TRUE(claim) << text;
    EXPECT_THAT(claim->taken_over(), HasSubstr("1.json"));
    EXPECT_TRUE(claim->held());
  }
}

TEST_F(ClaimTest, RenewsOnlyWhenASignOfLifeIsDue) {
  options_.heartbeat = seconds(100);
  auto idle = Claim::take(folder_ / "idle", options_);
  options_.heartbeat = milliseconds(1);
  auto busy = Claim::take(folder_ / "busy", options_);
  for (const char* name : {"idle", "busy"}) {
    make_older(folder_ / name / "claims" / "1.json", seconds(50));
  }
  std::this_thread::sleep_for(kPause);
  EXPECT_TRUE(idle->renew());
  EXPECT_TRUE(busy->renew());
  const auto time = [&](const char* name) {
    return std::filesystem::last_write_time(folder_ / name / "claims" /
                                            "1.json");
  };
  EXPECT_GT(time("busy") - time("idle"), seconds(49));
}

TEST_F(ClaimTest, OwnerThatSleptTooLongLearnsOfItsLoss) {
  options_.heartbeat = milliseconds(1);
  auto sleeper = take();
  ASSERT_TRUE(sleeper);
  Json json = record(1);
  json["boot"] = "elsewhere";  // what another machine sees
  core::write_file(file(1), json.dump());
  make_older(file(1), seconds(180));
  EXPECT_TRUE(sleeper->held()) << "nobody else has come";
  auto next = take();
  ASSERT_TRUE(next);
  std::this_thread::sleep_for(kPause);
  EXPECT_FALSE(sleeper->held());
  EXPECT_FALSE(sleeper->renew());
  EXPECT_FALSE(sleeper->release());
  EXPECT_TRUE(next->held()) << "a release must not end another's claim";
  EXPECT_FALSE(take());
}

TEST_F(ClaimTest, IsLostWhenTheFolderIsRemovedUnderIt) {
  options_.heartbeat = milliseconds(1);
  auto claim = take();
  ASSERT_TRUE(claim);
  std::filesystem::remove_all(cell());
  auto next = take();
  ASSERT_TRUE(next);
  std::this_thread::sleep_for(kPause);
  EXPECT_FALSE(claim->held());
  EXPECT_FALSE(claim->renew());
  EXPECT_FALSE(claim->release());
  EXPECT_TRUE(next->held());
}

TEST_F(ClaimTest, RefusesOptionsThatCannotKeepAClaim) {
  for (const auto heartbeat : {milliseconds(0), milliseconds(120000)}) {
    options_.heartbeat = heartbeat;
    testing::expect_error(ErrorKind::kInvalidArgument,
                          {"heartbeat", "120000 ms", "cell"},
                          [&] { (void)take(); });
  }
}

TEST_F(ClaimTest, NamesAFolderThatCannotBeMade) {
  testing::write(folder_ / "cell", "a file");
  testing::expect_error(ErrorKind::kIo, {"cell"}, [&] { (void)take(); });
}

}  // namespace
}  // namespace muonlab::study
