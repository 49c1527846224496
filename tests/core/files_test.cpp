#include "muonlab/core/files.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::core {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::TemporaryFolder;

std::size_t entries(const fs::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) {
    ++count;
  }
  return count;
}

TEST(Files, ReadBackWhatWasWrittenByteForByte) {
  const TemporaryFolder folder;
  std::string bytes;
  for (int i = 0; i < 300'000; ++i) bytes.push_back(static_cast<char>(i * 7));
  write_file(folder / "x", bytes);
  EXPECT_EQ(read_file(folder / "x"), bytes);
  write_file(folder / "x", "");
  EXPECT_EQ(read_file(folder / "x"), "");
}

TEST(Files, ReadErrorsNameThePath) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kIo, {"missing.txt", "check the path"},
               [&] { (void)read_file(folder / "missing.txt"); });
  expect_error(ErrorKind::kIo, {folder.path().string()},
               [&] { (void)read_file(folder.path()); });
}

TEST(AtomicFile, LeavesTheOldFileWhenWritingIsGivenUp) {
  const TemporaryFolder folder;
  write_file(folder / "x", "old");
  try {
    AtomicFile file(folder / "x");
    file.write("half of the ne");
    throw std::runtime_error("the writer failed");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(read_file(folder / "x"), "old");
  EXPECT_EQ(entries(folder.path()), 1U);  // no temporary file is left
}

TEST(AtomicFile, ShowsTheNewContentOnlyAfterCommit) {
  const TemporaryFolder folder;
  write_file(folder / "x", "old");
  AtomicFile file(folder / "x");
  file.write("new");
  EXPECT_EQ(file.size(), 3U);
  EXPECT_EQ(read_file(folder / "x"), "old");
  file.commit();
  EXPECT_EQ(read_file(folder / "x"), "new");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(AtomicFile, ReportsThatItsPlaceIsTaken) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "x" / "y");
  expect_error(ErrorKind::kIo, {"x", "in place"},
               [&] { write_file(folder / "x", "content"); });
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(AtomicFile, ReportsAMissingFolder) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kIo, {"no/such/x"},
               [&] { write_file(folder / "no/such/x", "content"); });
}

TEST(Files, ADiskThatIsFullIsAnErrorWithARemedy) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  LineLog log("/dev/full");
  expect_error(ErrorKind::kIo, {"/dev/full", "free some space"},
               [&] { log.line("text"); });
}

TEST(Files, CheckWritableMakesTheFolderAndLeavesItEmpty) {
  const TemporaryFolder folder;
  check_writable(folder / "a/b");
  EXPECT_TRUE(fs::is_directory(folder / "a/b"));
  EXPECT_EQ(entries(folder / "a/b"), 0U);
  testing::write(folder / "file", "");
  EXPECT_THROW(check_writable(folder / "file"), Error);
}

TEST(LineLog, AppendsOrStartsAnew) {
  const TemporaryFolder folder;
  {
    LineLog(folder / "log").line("one");
  }
  {
    LineLog(folder / "log").line("two");
  }
  EXPECT_EQ(read_file(folder / "log"), "one\ntwo\n");
  {
    LineLog(folder / "log", true).line("three");
  }
  EXPECT_EQ(read_file(folder / "log"), "three\n");
}

}  // namespace
}  // namespace muonlab::core
