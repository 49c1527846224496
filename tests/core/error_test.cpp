#include "muonlab/core/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/expect_error.h"

namespace muonlab {
namespace {

TEST(Error, HasTheExitCodesOfTheConventions) {
  EXPECT_EQ(exit_code(ErrorKind::kInvalidArgument), 3);
  EXPECT_EQ(exit_code(ErrorKind::kIo), 4);
  EXPECT_EQ(exit_code(ErrorKind::kCorruptData), 4);
  EXPECT_EQ(exit_code(ErrorKind::kDiverged), 5);
  EXPECT_EQ(exit_code(ErrorKind::kInterrupted), 6);
  EXPECT_EQ(exit_code(ErrorKind::kUnsupported), 7);
  EXPECT_EQ(exit_code(ErrorKind::kInternal), 70);
}

TEST(Error, CheckThrowsTheJoinedParts) {
  testing::expect_error(
      ErrorKind::kInvalidArgument, {"lr: got -1, expected"}, [] {
        const int lr = -1;
        MUONLAB_CHECK(lr > 0, "lr: got ", lr, ", expected more than 0");
      });
  EXPECT_NO_THROW(MUONLAB_CHECK(true, "unused"));
}

TEST(Error, IoErrorsNameThePathTheReasonAndTheRemedy) {
  testing::expect_error(
      ErrorKind::kIo, {"some/file: cannot write: No space", "free some"},
      [] { throw_io_error("some/file", "cannot write", ENOSPC); });
}

}  // namespace
}  // namespace muonlab
