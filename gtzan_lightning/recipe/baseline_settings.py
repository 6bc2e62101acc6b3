"""The knobs of the scikit-learn baselines, declared here once."""

from typing import Annotated, Literal

from pydantic import Field

from gtzan_lightning.recipe.section import Count, ModelSettings, Names, file, part


class ClassicalSettings(ModelSettings):
    """What the scikit-learn baselines share: what is made of a picture before the classifier."""

    summary: Literal["mean", "mean_covariance", "flatten"] = part("mean_covariance")
    """of a clip's picture: mean over the frames, mean and covariance of the bins, or all of it"""
    components: Count | None = part(None)
    """principal components that are kept (none: no PCA)"""
    table: str | None = file(None)
    """feature table (CSV with a filename or id column) in place of pictures, such as Kaggle's
    features_30_sec.csv"""
    columns: Names = part(())
    """columns of the table that are features (none given: all numbers but length and id)"""
    leaky_id: bool = part(False)
    """with a table: use the row number as a feature, as basak did (it tells the genre)"""


class KnnSettings(ClassicalSettings):
    """k nearest neighbours"""

    source = "zhang"
    name: Literal["knn"] = part("knn")
    neighbours: Count = part(10)
    """number of neighbours"""


class SvmSettings(ClassicalSettings):
    """support vector machine"""

    source = "basak, zhang"
    name: Literal["svm"] = part("svm")
    kernel: Literal["rbf", "linear", "poly"] = part("rbf")
    """kernel"""
    penalty: Annotated[float, Field(gt=0)] = part(1.0)
    """C, the weight of errors"""


class LogisticRegressionSettings(ClassicalSettings):
    """multinomial logistic regression"""

    source = "basak"
    name: Literal["logistic_regression"] = part("logistic_regression")
    penalty: Annotated[float, Field(gt=0)] = part(0.1)
    """C, the weight of errors against small coefficients"""
    iterations: Count = part(1000)
    """largest number of iterations"""


class RandomForestSettings(ClassicalSettings):
    """random forest"""

    source = "literature row of zhang"
    name: Literal["random_forest"] = part("random_forest")
    trees: Count = part(500)
    """number of trees"""
