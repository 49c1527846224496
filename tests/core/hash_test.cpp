#include "muonlab/core/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/temporary_folder.h"

namespace muonlab::core {
namespace {

// Digests of FIPS 180-4's examples.
constexpr const char* kAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, AgreesWithThePublishedDigests) {
  EXPECT_EQ(sha256_hex(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), kAbc);
  EXPECT_EQ(
      sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowTheBytesAreCut) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text.push_back(static_cast<char>(i * 31));
  for (const std::size_t step : {1U, 7U, 55U, 56U, 63U, 64U, 65U, 128U, 999U}) {
    Sha256 hash;
    for (std::size_t i = 0; i < text.size(); i += step) {
      hash.update(text.data() + i, std::min(step, text.size() - i));
    }
    EXPECT_EQ(hash.hex(), sha256_hex(text)) << "in steps of " << step;
  }
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const testing::TemporaryFolder folder;
  testing::write(folder / "x", "abc");
  EXPECT_EQ(sha256_file(folder / "x"), kAbc);
}

TEST(Sha256, NumberIsTheFirstEightBytesBigEndian) {
  EXPECT_EQ(sha256_u64("abc"), 0xba7816bf8f01cfeaU);
}

}  // namespace
}  // namespace muonlab::core
