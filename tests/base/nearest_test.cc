// Suggestions for misspelt names.
#include "fxq/base/nearest.h"

#include "gmock/gmock.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("scael", "scale"), 1);
  EXPECT_EQ(edit_distance("RGB", "rgb"), 1.5);
}

TEST(NearestNames, OrdersByDistanceAndDropsTheRest) {
  const std::vector<std::string> known = {"mean", "scale", "resize", "crop", "mein"};
  EXPECT_THAT(nearest_names("meen", known), ElementsAre("mean", "mein"));
  EXPECT_THAT(nearest_names("resise", known, 1), ElementsAre("resize"));
  EXPECT_THAT(nearest_names("padding", known), IsEmpty());
}

TEST(DidYouMean, SuggestsOrLists) {
  EXPECT_EQ(did_you_mean("resise", {"crop", "resize"}), "did you mean \"resize\"?");
  EXPECT_EQ(did_you_mean("meen", {"mean", "mein"}), "did you mean \"mean\" or \"mein\"?");
  EXPECT_EQ(did_you_mean("padding", {"crop", "mean"}), "known: crop, mean");
  EXPECT_EQ(did_you_mean("x", {}), "nothing is known here");
  const std::vector<std::string> many(25, "something_long");
  EXPECT_THAT(did_you_mean("x", many), ::testing::EndsWith("something_long, and 5 more"));
}

TEST(DidYouMean, TakesLongNames) {
  const std::string name(100000, 'a');
  EXPECT_EQ(did_you_mean(name, {"b"}), "known: b");
}

}  // namespace
}  // namespace fxq
